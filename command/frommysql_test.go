package command

import (
	"io"
	"strings"
	"testing"

	"wxgate/secret"
)

func TestNamesOfTablesAreQuoted(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"users": "`users`", "app.users": "`app`.`users`", "用户": "`用户`", "my table": "`my table`", "u' OR '1'='1": "`u' OR '1'='1`",
		"": "", "a`b": "", "a.b.c": "", ".a": "", "a\x00": "", strings.Repeat("x", 65): "",
	} {
		if got, err := quoteName(name); got != want || (err == nil) != (want != "") {
			t.Errorf("%q became %s, %v; want %s", name, got, err, want)
		}
	}
}

func TestDatesOfMySQLGetTheirZone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ text, column, want string }{
		{"2024-10-16 12:00:00", "DATETIME", "2024-10-16T12:00:00+08:00"},
		{"2024-10-16 12:00:00.123456", "DATETIME", "2024-10-16T12:00:00.123456+08:00"},
		{"2024-10-16 12:00:00", "TIMESTAMP", "2024-10-16T12:00:00Z"},
		{"0000-00-00 00:00:00", "DATETIME", "0000-00-00 00:00:00"},
		{"1700000000", "INT", "1700000000"},
	} {
		if got := inZone(row.text, row.column, "+08:00"); got != row.want {
			t.Errorf("%s of a %s became %s, want %s", row.text, row.column, got, row.want)
		}
	}
	if got := inZone("2024-10-16 12:00:00", "DATETIME", "+00:00"); got != "2024-10-16T12:00:00Z" {
		t.Errorf("in UTC it became %s", got)
	}
}

// TestAWrongDSNIsNotRepeated has a password in what cannot be parsed, and in what leads nowhere.
func TestAWrongDSNIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, dsn := range []secret.Text{"mysql://root:hunter2@127.0.0.1/app", "root:hunter2@tcp(127.0.0.1:1)/app", "root:hunter2@tcp(127.0.0.1:1)/", "hunter2"} {
		err := mysqlUsers{dsn: dsn, table: "users", stderr: io.Discard}.importInto(t.Context(), &usersImport{})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%d bytes of a DSN: %v, want an error without the password", len(dsn), err)
		}
	}
}

func TestIDsOfAnotherLoginAreKeptApart(t *testing.T) {
	t.Parallel()
	const move = "before the first login through wxgate: ALTER TABLE app.users AUTO_INCREMENT = 1000000000"
	for _, row := range []struct {
		next, floor int64
		want        string
	}{
		{44, 0, "import with --next-id 1000000, and " + move},
		{600_000, 0, "import with --next-id 10000000, and " + move},
		{100_002, 1_000_000, move},
		{5_000, 1_000, "it meets new users from --next-id 1000 on: take --next-id 1000000, and " + move},
		{1_000_000_000, 1_000_000, ""},
		{1_000_000_050, 1_000_000, ""},
		{600_000_000, 0, "choose ids for it and for --next-id that never meet: docs/users.md"},
		{44, 2_000_000_000, "it continues behind the first new user that it gets a row of: docs/users.md"},
	} {
		if got := adviseIDs("app.users", row.next, row.floor); got != row.want {
			t.Errorf("next %d, --next-id %d: got %q, want %q", row.next, row.floor, got, row.want)
		}
	}
}
