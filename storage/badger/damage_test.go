package badger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
)

// contents is all that a store serves.
type contents struct {
	ID       string
	Users    []storage.User // users 1, 2, …
	Keys     [][]storage.SessionKey
	Sessions [][]storage.Session
	Revoked  []storage.Revocation
}

// readAll reads what s serves of the users 1 to n, through JSON so that two times that are equal compare equal.
func readAll(ctx context.Context, s *Store, n int) (text []byte, err error) {
	all := contents{ID: s.ID()}
	for id := int64(1); id <= int64(n) && err == nil; id++ {
		var errs [3]error
		var u storage.User
		var keys []storage.SessionKey
		var sessions []storage.Session
		u, errs[0] = s.User(ctx, id)
		keys, errs[1] = s.SessionKeys(ctx, id)
		sessions, errs[2] = s.Sessions(ctx, id, storage.SessionCursor{}, 1<<20)
		all.Users, all.Keys, all.Sessions = append(all.Users, u), append(all.Keys, keys), append(all.Sessions, sessions)
		err = errors.Join(errs[:]...)
	}
	if err == nil {
		all.Revoked, err = s.Revocations(ctx, 0, 1000)
		all.Revoked = slices.DeleteFunc(all.Revoked, isOfCopy) // what is damaged is a copy
	}
	text, jsonErr := json.Marshal(all)
	return text, errors.Join(err, jsonErr)
}

// isOfCopy reports whether the revocation is the one that a copy begins with.
func isOfCopy(r storage.Revocation) bool { return r.Scope == storage.ScopeForeign && r.ID == "0" }

const damagedUsers = 300 // users of the store that is damaged

// childOpensDamaged says what a damaged store does: "refused" with its error, "served" all that is in the file expected,
// "unavailable" for a row that it admits to be damaged, or "wrong".
func childOpensDamaged() {
	dir := os.Getenv(dirEnv)
	s, err := Open(configIn(dir), prometheus.NewRegistry(), quiet(), time.Now)
	if err != nil {
		kind := "refused"
		if !isRefusal(err) || len(err.Error()) > 1000 {
			kind = "wrong"
		}
		fmt.Println(kind, err)
		return
	}
	fmt.Println(judge(s, dir+".expected"))
}

func isRefusal(err error) bool {
	return errors.Is(err, storage.ErrDamaged) || errors.Is(err, storage.ErrNewerSchema) || errors.Is(err, storage.ErrWrongKey)
}

// judge compares what s serves with the expected, and logs a known and a new user in.
func judge(s *Store, expectedFile string) string {
	expected, err := os.ReadFile(expectedFile)
	if err != nil {
		return "wrong " + err.Error()
	}
	served, err := readAll(context.Background(), s, damagedUsers)
	if errors.Is(err, storage.ErrDamaged) {
		return "unavailable"
	}
	if err != nil || !bytes.Equal(served, expected) {
		return fmt.Sprint("wrong rows ", err)
	}
	for _, openID := range []string{"o-7", "o-299"} {
		in, err := s.Login(context.Background(), loginAs(openID, "after-"+openID))
		if err != nil || in.Created {
			return fmt.Sprint("wrong login of ", openID, ": ", in.Created, err)
		}
	}
	in, err := s.Login(context.Background(), loginAs("o-new", "after-new"))
	if err != nil || in.User.ID != damagedUsers+1 {
		return fmt.Sprint("wrong login of a new user: ", in.User.ID, err)
	}
	return "served"
}

// damage is one way to spoil one file.
type damage struct {
	name string
	file string
	do   func(content []byte) []byte // content without the zeros at its end; nil deletes the file
}

// damages makes the cases for each file that holds something, always the same ones.
func damages(whole folder) (all []damage) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, file := range slices.Sorted(maps.Keys(whole)) {
		used := len(whole[file].content)
		if used == 0 || strings.HasSuffix(file, "LOCK") {
			continue
		}
		all = append(all, damagesOf(file, used, random)...)
	}
	return all
}

func damagesOf(file string, used int, random *rand.Rand) []damage {
	all := []damage{
		{"deleted", file, func([]byte) []byte { return nil }},
		{"emptied", file, func(c []byte) []byte { return c[:0] }},
		{"cut in half", file, func(c []byte) []byte { return c[:used/2] }},
		{"cut at its last byte", file, func(c []byte) []byte { return c[:used-1] }},
		{"cut at its last 40 bytes", file, func(c []byte) []byte { return c[:max(0, used-40)] }},
		{"zeroed in the middle", file, func(c []byte) []byte { clear(c[used/2 : min(used, used/2+64)]); return c }},
		{"zeroed from the middle on", file, func(c []byte) []byte { clear(c[used/2:]); return c }},
		{"overwritten with garbage", file, func(c []byte) []byte {
			for i := range used {
				c[i] = byte(i * 131)
			}
			return c
		}},
	}
	places := []int{0, used / 2, used - 1, random.IntN(used), random.IntN(used)}
	for _, at := range places {
		bit := byte(1) << random.IntN(8)
		at = min(at, used-1)
		all = append(all, damage{
			fmt.Sprintf("bit %#x of byte %d flipped", bit, at), file,
			func(c []byte) []byte { c[at] ^= bit; return c },
		})
	}
	return all
}

// crashedStore makes a store with tables in several levels and with logs that were not flushed, and reads its files as a
// kill would leave them. It returns what the store served, too.
func crashedStore(t *testing.T) (whole folder, expected []byte) {
	t.Helper()
	live := filepath.Join(t.TempDir(), "live")
	for round := range 4 {
		s := openIn(t, live)
		fill(t, s, round)
		if round < 3 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		expected, err := readAll(t.Context(), s, damagedUsers)
		if err != nil {
			t.Fatal(err)
		}
		return readFolder(t, live), expected
	}
	return nil, nil
}

// fill logs 300 users in, of whom each round finds two thirds new to it, and changes, ends and revokes a little.
func fill(t *testing.T, s *Store, round int) {
	t.Helper()
	for i := range min(damagedUsers, 75*(round+1)) {
		sid := fmt.Sprintf("s-%d-%d", round, i)
		u := login(t, s, fmt.Sprint("o-", i), sid)
		if i%10 == round {
			if _, err := s.EndSession(t.Context(), sid, time.Now(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		if i%7 == 0 {
			rename := func(u *storage.User) error { u.Nickname = sid; return nil }
			if _, err := s.UpdateUser(t.Context(), u.ID, rename); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestDamageIsRefusedOrHarmless(t *testing.T) {
	t.Parallel()
	whole, expected := crashedStore(t)
	cases := append(damages(whole), damage{"untouched", fileSentinel, func(c []byte) []byte { return c }})
	if len(cases) < 70 {
		t.Fatalf("got %d kinds of damage, want at least 70", len(cases))
	}
	outcomes, mu := map[string]int{}, sync.Mutex{}
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.file+" "+c.name, func(t *testing.T) {
				t.Parallel()
				outcome := c.outcome(t, whole, expected)
				mu.Lock()
				defer mu.Unlock()
				outcomes[outcome]++
			})
		}
	})
	t.Log(len(cases), "kinds of damage:", outcomes)
}

// outcome damages a copy of whole and lets a child open it.
func (d damage) outcome(t *testing.T, whole folder, expected []byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "d")
	d.strike(whole).write(t, dir)
	before := hashes(t, dir)
	if err := os.WriteFile(dir+".expected", expected, 0o600); err != nil {
		t.Fatal(err)
	}
	c := newChild(t, "opens-damaged", dir)
	c.lines.Scan()
	said := c.lines.Text()
	err := c.cmd.Wait()
	outcome, detail, _ := strings.Cut(said, " ")
	if err != nil || outcome != "refused" && outcome != "served" && outcome != "unavailable" {
		t.Errorf("%s %s: got %v %q, want refused or served", d.file, d.name, err, said)
	}
	if outcome == "refused" {
		t.Log(strings.ReplaceAll(detail, dir, "data"))
		wantUnchanged(t, d.file+" "+d.name, hashes(t, dir), before)
	}
	return outcome
}

// wantUnchanged checks that a refusal left every file as it was, and made none.
func wantUnchanged(t *testing.T, what string, after, before map[string]string) {
	t.Helper()
	for name := range before {
		if after[name] != before[name] {
			t.Errorf("%s: a refusal changed %s: got %q, want %q", what, name, after[name], before[name])
		}
	}
	for name := range after {
		if _, known := before[name]; !known {
			t.Errorf("%s: a refusal made %s, want no new file", what, name)
		}
	}
}

// strike is whole with one file spoilt. A file that got shorter was cut.
func (d damage) strike(whole folder) folder {
	spoilt, f := maps.Clone(whole), whole[d.file]
	content := d.do(slices.Clone(f.content))
	if content == nil {
		delete(spoilt, d.file)
		return spoilt
	}
	if len(content) < len(f.content) {
		f.size = int64(len(content))
	}
	spoilt[d.file] = sparse{content, f.size}
	return spoilt
}
