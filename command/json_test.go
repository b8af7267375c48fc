package command

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wxgate/authn"
	"wxgate/config/strictyaml"
	"wxgate/gateway"
	"wxgate/gateway/admin"
	"wxgate/process"
	"wxgate/prove"
	"wxgate/storage"
)

// printedAs are the types that commands print with --json.
func printedAs() map[string]any {
	type revoked struct {
		Ended int `json:"ended"`
	}
	type erased struct {
		Erased int64 `json:"erased"`
	}
	type applied struct {
		Applied []string `json:"applied"`
	}
	return map[string]any{
		"doctor": examined{}, "prove": prove.Finding{}, "check": checked{}, "routes list": gateway.RouteInfo{}, "routes import": difference{},
		"explain": explained{}, "dashboard": invitation{}, "health": health{}, "users list": admin.UserPage{}, "users show": admin.Account{}, "users import": importResult{},
		"users resync": resyncResult{}, "users untold": authn.Untold{}, "users quotas": admin.QuotaList{}, "users ban": admin.Account{}, "users unban": admin.Account{},
		"users unlink": admin.Account{}, "users erase": erased{}, "sessions list": admin.SessionList{}, "sessions revoke": revoked{}, "keys new": newKey{},
		"token inspect": inspection{}, "store copy": storage.Copied{}, "store reseal": storage.Resealed{}, "backup": backedUp{}, "restore": restored{},
		"migrate status": schemaStatus{}, "migrate up": applied{}, "migrate adopt": adoption{}, "version": process.Built{},
	}
}

// keysOfJSON are those of a struct, embedded ones included.
func keysOfJSON(t reflect.Type) (keys []string) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			keys = append(keys, keysOfJSON(field.Type)...)
		case field.IsExported() && name != "-" && name != "":
			keys = append(keys, name)
		}
	}
	slices.Sort(keys)
	return keys
}

// TestEveryResultCanBeJSON of commands that end, but for what is JSON or YAML already, or is asked of a person.
func TestEveryResultCanBeJSON(t *testing.T) {
	t.Parallel()
	types := printedAs()
	for _, leaf := range testProgram(t).Leaves() {
		name, has := leaf.Path(), false
		for _, flag := range leaf.Flags {
			has = has || flag.Name == "json"
		}
		without := slices.Contains([]string{"serve", "demo", "init", "users export", "schema", "completion"}, name)
		if has == without || has != (types[name] != nil) {
			t.Errorf("%s: has --json %v, want %v, and its type in this test", name, has, !without)
		}
		delete(types, name)
	}
	for name := range types {
		t.Errorf("%s is no command", name)
	}
}

// TestTheManualHasTheKeysOfTheJSON holds both tables to the types.
func TestTheManualHasTheKeysOfTheJSON(t *testing.T) {
	t.Parallel()
	code := regexp.MustCompile("`([^`]+)`")
	for _, page := range []string{"docs/commands.md", "docs/zh/commands.md"} {
		_, section, _ := strings.Cut(readPage(t, page), "## JSON")
		section, _, _ = strings.Cut(section, "\n## ")
		documented := map[string][]string{}
		for _, m := range regexp.MustCompile("(?m)^\\| (`--json` )?(`[^|]*`) \\| ([^|]*) \\|$").FindAllStringSubmatch(section, -1) {
			var keys []string
			for _, key := range code.FindAllStringSubmatch(m[3], -1) {
				keys = append(keys, key[1])
			}
			slices.Sort(keys)
			for _, name := range code.FindAllStringSubmatch(m[2], -1) {
				documented[name[1]] = keys
			}
		}
		for name, value := range printedAs() {
			if got, want := documented[name], keysOfJSON(reflect.TypeOf(value)); !slices.Equal(got, want) {
				t.Errorf("%s: %s has the keys %q, want %q", page, name, got, want)
			}
		}
		for name := range maps.Keys(documented) {
			if printedAs()[name] == nil && name != "error" {
				t.Errorf("%s has a row for %s, which prints no JSON", page, name)
			}
		}
	}
}

// TestErrorsAreJSONForPrograms as well, each in one line of standard error.
func TestErrorsAreJSONForPrograms(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-c", "nowhere.yaml", "check", "--json"}, 1, "nowhere.yaml"},
		{[]string{"users", "list", "--json", "--limt", "3"}, 2, "--limt"},
		{[]string{"-c", "testdata/config/no-upstreams.yaml", "check", "--json"}, 1, "the configuration is invalid: 1 error"},
	} {
		var stdout, stderr bytes.Buffer
		code := runCommand(t.Context(), row.args, &env{lookup: manualEnv, stdout: &stdout, stderr: &stderr})
		var said failed
		if err := json.Unmarshal(stderr.Bytes(), &said); err != nil || code != row.code || said.ExitCode != code || !strings.Contains(said.Error, row.want) {
			t.Errorf("%v: exit %d, %v, stderr %s", row.args, code, err, &stderr)
		}
	}
}

func TestCheckIsALinter(t *testing.T) {
	t.Parallel()
	const file = "config/audit/testdata/admin-public.yaml"
	lookup := func(name string) (string, bool) {
		if name == "ADMIN_TOKEN" {
			return "tSUWyo4uVvTDcKJDhQ1mZkPq", true
		}
		return manualEnv(name)
	}
	for _, row := range []struct {
		flags string
		code  int
	}{
		{"", 0},
		{"--fail-on critical", 1},
		{"--fail-on critical --ignore admin-plaintext", 0},
		{"--fail-on warning --ignore admin-plaintext", 1},
		{"--fail-on warning --ignore admin-plaintext,admin-public", 0},
		{"--fail-on info --ignore admin-plaintext --ignore admin-public", 1},
		{"--fail-on bad", 2},
		{"--ignore admin-publik", 2},
	} {
		code, stdout, stderr := run(t, lookup, append([]string{"-c", file, "check"}, strings.Fields(row.flags)...)...)
		if code != row.code || strings.Contains(row.flags, "admin-plaintext") && strings.Contains(stdout, "[admin-plaintext]") {
			t.Errorf("%s: exit %d, want %d\n%s%s", row.flags, code, row.code, stdout, stderr)
		}
	}
	code, stdout, _ := run(t, lookup, "-c", file, "check", "--json")
	var got checked
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 || !got.Valid || len(got.Errors) != 0 || len(got.Findings) < 2 || got.Findings[0].ID == "" || got.Findings[0].Path == "" {
		t.Errorf("exit %d, %v: %s", code, err, stdout)
	}
	code, stdout, _ = run(t, lookup, "-c", "testdata/config/no-upstreams.yaml", "check", "--json")
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 1 || got.Valid || len(got.Errors) == 0 || got.Errors[0].Message == "" {
		t.Errorf("exit %d, %v: %s", code, err, stdout)
	}
}

// run runs a command line.
func run(t *testing.T, lookup strictyaml.LookupEnv, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = runCommand(t.Context(), args, &env{lookup: lookup, stdout: &out, stderr: &errs})
	return code, out.String(), errs.String()
}
