package command

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"wxgate/storage"
	"wxgate/storage/backup"
)

// importCSV imports text as CSV, and returns the lines that the gateway gets and what is said.
func importCSV(t *testing.T, text string, c usersImportCommand) (lines, said string, err error) {
	t.Helper()
	gateway := new(importer)
	server := httptest.NewServer(gateway)
	defer server.Close()
	var stdout, stderr bytes.Buffer
	w := &env{stdin: strings.NewReader(text), stdout: &stdout, stderr: &stderr}
	c.File, c.Format = "-", formatCSV
	err = c.Run(t.Context(), w, &adminClient{address: server.Listener.Addr().String(), stderr: io.Discard})
	return gateway.text.String(), stdout.String() + stderr.String(), err
}

// TestEveryUserSurvivesCSV writes users as an export does, and reads them as an import does.
func TestEveryUserSurvivesCSV(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", " ", "=1+1", "'=1+1", "''=x", "+86", "-", "@x", "\t", "＝x", "007", "1e9", "NULL", "'NULL", `\N`, "a\nb", `say "hi"`, `"`, ",", ";", "'", "嗨 😀",
		"👨‍👩‍👧", "\ufeff", "a,b\n\"c\"", "true", "null", "{}", `\.`,
	}))
	clean := func(s string) string {
		return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\r", "") // which no profile has
	}
	count := rapid.Int64Range(0, 1<<53-1)
	rapid.Check(t, func(r *rapid.T) {
		u := storage.User{
			ID: rapid.Int64Range(1, 1<<52).Draw(r, "id"), AppID: clean(text.Draw(r, "appid")), OpenID: clean(text.Draw(r, "openid")), UnionID: clean(text.Draw(r, "unionid")),
			Nickname: clean(text.Draw(r, "nickname")), Avatar: clean(text.Draw(r, "avatar")), Bio: clean(text.Draw(r, "bio")),
			RecipeCount: count.Draw(r, "recipes"), FollowerCount: count.Draw(r, "followers"), FollowingCount: count.Draw(r, "following"), FavoriteCount: count.Draw(r, "favorites"),
			CreatedAt: time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(r, "created")).UTC(), UpdatedAt: time.UnixMilli(1).UTC(), Native: rapid.Bool().Draw(r, "native"),
		}
		other := storage.User{ID: 1, OpenID: "o1"}
		var file bytes.Buffer
		if err := writeCSV(&file, strings.NewReader(asLine(u)+"\n"+asLine(other)+"\n"), func(int64) {}); err != nil {
			r.Fatal(err)
		}
		lines, _, err := importCSV(t, file.String(), usersImportCommand{})
		if err != nil || strings.Count(lines, "\n") != 2 {
			r.Fatalf("%q gave %q, %v", file.String(), lines, err)
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(lines[:strings.Index(lines, "\n")]), &got); err != nil {
			r.Fatal(err)
		}
		for key, want := range map[string]string{
			"id": fmt.Sprint(u.ID), "openid": u.OpenID, "appid": u.AppID, "unionid": u.UnionID, "nickname": u.Nickname, "avatar": u.Avatar, "bio": u.Bio,
			"recipe_count": fmt.Sprint(u.RecipeCount), "follower_count": fmt.Sprint(u.FollowerCount), "following_count": fmt.Sprint(u.FollowingCount),
			"favorite_count": fmt.Sprint(u.FavoriteCount), "created_at": u.CreatedAt.Format(time.RFC3339Nano),
		} {
			if got[key] != want {
				r.Fatalf("%s was %q and became %q, in %q", key, want, got[key], file.String())
			}
		}
	})
}

// TestAnExportExecutesNothing has what users write for whoever opens the file in Excel.
func TestAnExportExecutesNothing(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	u := storage.User{ID: 7, AppID: "wx1", OpenID: "-o7", Nickname: `=cmd|'/c calc'!A1`, Bio: "+1", Avatar: "@SUM(A1)"}
	if err := writeCSV(&file, strings.NewReader(asLine(u)), func(int64) {}); err != nil {
		t.Fatal(err)
	}
	if text := file.String(); !strings.HasPrefix(text, "\ufeffid,openid,appid,") || !strings.Contains(text, "native\r\n7,") {
		t.Errorf("the file is %q, want a byte order mark, a header, and CRLF", text)
	}
	records, err := csv.NewReader(&file).ReadAll()
	if err != nil || len(records) != 2 {
		t.Fatalf("%q, %v", records, err)
	}
	for _, cell := range records[1] {
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
			t.Errorf("a spreadsheet would execute %q", cell)
		}
	}
}

func TestColumnsMayBeInAnyOrderAndCalledOtherwise(t *testing.T) {
	t.Parallel()
	const file = "\ufeffNickname, wx_openid ,ID,password,created_at,updated_at\r\n\"长,名\r\n字\",o7,007,hunter2,2024/10/16 8:05,x\r\n,o8,8,,,\r\n\r\nNULL,\\N,9,,NULL,\r\n"
	c := usersImportCommand{Map: map[string]string{"openid": "WX_OPENID"}, TimeZone: "+08:00"}
	lines, said, err := importCSV(t, file, c)
	want := `{"created_at":"2024-10-16T08:05:00+08:00","id":"007","nickname":"长,名\n字","openid":"o7"}` + "\n" + `{"id":"8","openid":"o8"}` + "\n" + `{"id":"9"}` + "\n"
	if err != nil || lines != want {
		t.Errorf("got %s, %v; want %s", lines, err, want)
	}
	if !strings.Contains(said, `not imported: the column "password";`) || strings.Contains(said, "hunter2") {
		t.Errorf("said is %q", said)
	}
}

// TestErrorsOfCSVNameThePlace has files as people save them.
func TestErrorsOfCSVNameThePlace(t *testing.T) {
	t.Parallel()
	const gbk = "\xd3\xc3\xbb\xa7" // 用户
	for file, want := range map[string]string{
		"":                        "nothing is imported: the file is empty; its first line names the columns",
		"\ufeff":                  "nothing is imported: the file is empty;",
		"id;openid\n":             "line 1, which names the columns, has no column id; name the right one by --map id=COLUMN: it has id;openid",
		"id,name\n1,a\n":          "has no column openid; name the right one by --map openid=COLUMN: it has id, name",
		"id,openid,ID\n":          "has two columns id",
		"id,openid," + gbk + "\n": "nothing is imported: line 1, column 3: the text is not in UTF-8. A CSV that Excel saved in China is in GBK: save it as",
		"id,openid,nickname\n1,o1,a\n2,o2," + gbk + "\n":       "line 3 and those behind it are not imported, or only some of them: line 3, column 3 (nickname): the text is not in UTF-8",
		"\xff\xfei\x00d\x00,\x00o\x00":                         "nothing is imported: the file is in UTF-16",
		"\xfe\xff\x00i\x00d\x00,\x00o":                         "nothing is imported: the file is in UTF-16",
		"i\x00d\x00,\x00o\x00":                                 "nothing is imported: the file is in UTF-16",
		"id,openid\n1,o1\n2,o2,x\n":                            "line 3: 3 values, and the first line names 2;",
		"id,openid\n1,o1\n2\n":                                 "line 3: 1 value, and the first line names 2;",
		"id,openid\n1,\"o\n1\"\n2,\"o2\"x\n":                   "line 4, column 2 (openid): a text in quotes does not end properly",
		"id,openid\n1,o\"1\n":                                  "line 2, column 2 (openid): a quote in a text is written twice",
		"id,nickname,openid\n1,用户,o\"1\n":                      "line 2, column 3 (openid): a quote in a text is written twice",
		"id,openid\n1,\"o1\n2,o2\n":                            "a text in quotes does not end properly",
		"id,openid\n1,o1\n2,\"" + strings.Repeat("x\n", 1<<20): "the record behind line 2 is longer than 65536 bytes; is there a quote (\") that does not end?",
	} {
		lines, _, err := importCSV(t, file, usersImportCommand{})
		if err == nil || !strings.Contains(err.Error(), want) || !utf8.ValidString(err.Error()) {
			t.Errorf("%.60q: got %v, want %q", file, err, want)
		}
		if strings.Contains(want, "nothing is imported") && lines != "" {
			t.Errorf("%.60q: %q is sent", file, lines)
		}
	}
}

// TestARefusedRecordIsNamedByItsLine has records of several lines.
func TestARefusedRecordIsNamedByItsLine(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	file.WriteString("id,openid,bio\n")
	for id := range 20_000 {
		bio := "\"two\nlines\""
		if id == 3 || id == 19_999 {
			bio = "\"bad\none\""
		}
		fmt.Fprintf(&file, "%d,o%d,%s\n", id+1, id+1, bio)
	}
	_, said, err := importCSV(t, file.String(), usersImportCommand{})
	if err == nil || err.Error() != "2 lines were not imported" || !strings.Contains(said, "line 8 ") || !strings.Contains(said, "line 40000 ") {
		t.Errorf("got %v and %.300q, want lines 8 and 40000", err, said)
	}
}

// TestAnExportIsWrittenWholeOrNotAtAll breaks one off.
func TestAnExportIsWrittenWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(name, []byte("the one before"), 0o600); err != nil {
		t.Fatal(err)
	}
	export := func(lines io.Reader) error {
		return backup.WriteFile(name, func(to io.Writer) error { return writeCSV(to, lines, func(int64) {}) })
	}
	if err := export(io.MultiReader(strings.NewReader(`{"id":1,"openid":"o1"}`), failing{})); err == nil {
		t.Error("an export that breaks off succeeds")
	}
	if text, _ := os.ReadFile(name); string(text) != "the one before" {
		t.Errorf("it left %q", text)
	}
	if err := export(strings.NewReader(`{"id":1,"openid":"o1"}`)); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(name)
	if all, _ := os.ReadDir(filepath.Dir(name)); err != nil || info.Mode().Perm() != 0o600 || len(all) != 1 {
		t.Errorf("the file has %v, %v; in its folder are %q", info.Mode(), err, all)
	}
}
