package command

import (
	"strings"
	"testing"
)

func TestTablesWithChineseNamesAreAligned(t *testing.T) {
	t.Parallel()
	var tab table
	tab.row("ID", "NICKNAME", "CREATED")
	tab.row(1, "老用户", "x")
	tab.row(22, "bob", "x")
	tab.row("(more: wxgate users list --after 22)")
	var out strings.Builder
	if err := tab.write(&out); err != nil {
		t.Fatal(err)
	}
	const want = "ID  NICKNAME  CREATED\n1   老用户    x\n22  bob       x\n(more: wxgate users list --after 22)\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
