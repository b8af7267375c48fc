package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// TestAnImportOfAnySizeTakesLittleMemory imports 200,000 users by the command, and reads the last one. Both processes have
// a bound far below what would hold many times as many. The tables of the store are mapped, and are the kernel's to drop.
func TestAnImportOfAnySizeTakesLittleMemory(t *testing.T) {
	users, mostCommand, mostGateway := 200_000, 64, 256
	if raceEnabled { // everything is many times slower, and takes many times the memory
		users, mostCommand, mostGateway = 30_000, 256, 1024
	}
	w := newWorld(t)
	w.serve()
	file := filepath.Join(w.dir, "users.jsonl")
	if err := os.WriteFile(file, userFile(users), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := w.wxgate("", "users", "list"); code != 0 { // writes the configuration of a command
		t.Fatal(stderr)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-c", filepath.Join(w.dir, "operator.yaml"), "users", "import", file)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = []string{}, &stdout, &stderr
	command, gateway, err := runWatched(t, cmd, w.cmd.Process.Pid)
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	if want := fmt.Sprintf("imported %d, failed 0\n", users); stdout.String() != want {
		t.Errorf("got %q, want %q; stderr %s", stdout.String(), want, stderr.String())
	}
	if out, _, code := w.wxgate("", "users", "show", strconv.Itoa(users)); code != 0 || !strings.Contains(out, fmt.Sprintf("oImported%d", users)) {
		t.Errorf("the last user is %q, exit code %d", out, code)
	}
	t.Logf("%d users: at most %d MB in the command and %d MB in the gateway", users, command, gateway)
	if command > mostCommand || gateway > mostGateway {
		t.Errorf("the command took %d MB, the gateway %d MB; want at most %d and %d", command, gateway, mostCommand, mostGateway)
	}
}

// runWatched runs a command, and returns the most memory of its own that it and a process beside it had, in MB.
func runWatched(t *testing.T, cmd *exec.Cmd, beside int) (command, other int, err error) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			return command, other, err
		case <-ticker.C:
			command, other = max(command, anonymousMemory(cmd.Process.Pid)), max(other, anonymousMemory(beside))
		}
	}
}

// anonymousMemory is the memory of a process without what is mapped from files, in MB; 0 when it has ended.
func anonymousMemory(pid int) int { return residentMemory(pid, "RssAnon") / 1024 }

// residentMemory is a line of /proc/PID/status, RssAnon or RssFile, in kB; 0 when the process has ended.
func residentMemory(pid int, line string) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if found := regexp.MustCompile(line + `:\s+(\d+) kB`).FindSubmatch(status); found != nil {
		kilobytes, _ := strconv.Atoi(string(found[1]))
		return kilobytes
	}
	return 0
}

// TestManyUsersAreImportedBesideOthers imports WXGATE_IMPORT users by the command on each driver, while others ask and log
// in: the table of docs/migration.md.
func TestManyUsersAreImportedBesideOthers(t *testing.T) {
	users, _ := strconv.Atoi(os.Getenv("WXGATE_IMPORT"))
	if users == 0 {
		t.Skip("make long WHAT=import")
	}
	var rows bytes.Buffer
	table := tabwriter.NewWriter(&rows, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "store\tusers\ttook\theap\tmemory of the gateway\tp99 of a request\tp99 of a first login")
	for _, store := range []string{"badger", "mysql"} {
		if only := os.Getenv("WXGATE_IMPORT_ON"); only != "" && only != store {
			continue
		}
		w := newWorld(t)
		if store == "mysql" {
			_, dsn := newDatabase(t)
			w.onDatabase(dsn)
		}
		w.serve()
		w.does([]string{"users", "import", "--next-id", "100000000"}) // for whoever logs in meanwhile
		file := filepath.Join(w.dir, "users.jsonl")
		if err := os.WriteFile(file, userFile(users), 0o600); err != nil {
			t.Fatal(err)
		}
		asks, logins, end := w.asksMeanwhile()
		heap := w.heapMeanwhile()
		cmd := exec.CommandContext(t.Context(), binary, "-c", filepath.Join(w.dir, "operator.yaml"), "users", "import", "--json", file)
		var stdout, stderr bytes.Buffer
		cmd.Env, cmd.Stdout, cmd.Stderr = []string{}, &stdout, &stderr
		began := time.Now()
		_, memory, err := runWatched(t, cmd, w.cmd.Process.Pid)
		took := time.Since(began)
		end()
		most := heap()
		if most == 0 {
			t.Error("the metrics have no heap")
		}
		if want := fmt.Sprintf(`"imported":%d,"failed":0`, users); err != nil || !strings.Contains(stdout.String(), want) {
			t.Fatalf("%s: %v, %.300s, %s, want %s", store, err, stdout.String(), stderr.String(), want)
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%v\t%d MB\t%d MB\t%v\t%v\n", store, users, took.Round(time.Second), most, memory, asks.p99(), logins.p99())
		w.stop(t)
	}
	_ = table.Flush()
	t.Logf("\n%s", rows.String())
}

// heapMeanwhile scrapes the heap of the gateway five times a second, and returns the most of it, in MB.
func (w *world) heapMeanwhile() (end func() int) {
	w.t.Helper()
	stop, most := make(chan struct{}), make(chan int)
	inUse := regexp.MustCompile(`(?m)^go_memstats_heap_inuse_bytes (\S+)$`)
	go func() {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		highest := 0
		for {
			select {
			case <-ticker.C:
				resp, err := w.client.Get(w.admin + "/metrics")
				if err != nil {
					w.t.Errorf("the metrics while users are imported: %v", err)
					continue
				}
				text, _ := io.ReadAll(resp.Body) // what is cut off has no line of it
				_ = resp.Body.Close()
				if found := inUse.FindSubmatch(text); found != nil {
					bytes, _ := strconv.ParseFloat(string(found[1]), 64)
					highest = max(highest, int(bytes)>>20)
				}
			case <-stop:
				most <- highest
				return
			}
		}
	}()
	return func() int { close(stop); return <-most }
}

// latencies are how long requests took, one after the other.
type latencies []time.Duration

func (l latencies) p99() time.Duration {
	slices.Sort(l)
	return quantile(l, 0.99).Round(100 * time.Microsecond)
}

// asksMeanwhile lets one client ask 100 times a second, and another log in 20 times a second as somebody new, until end.
func (w *world) asksMeanwhile() (asks, logins *latencies, end func()) {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	token := w.login("who asks")
	asks, logins = new(latencies), new(latencies)
	var clients sync.WaitGroup
	each := func(took *latencies, every time.Duration, do func(n int) (answer, error)) {
		clients.Go(func() {
			ticker := time.NewTicker(every)
			defer ticker.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				began := time.Now()
				if got, err := do(n); err != nil || got.status != 200 {
					w.t.Errorf("while users are imported: %d %s, %v", got.status, got.body, err)
				}
				*took = append(*took, time.Since(began))
				select {
				case <-ticker.C:
				case <-ctx.Done():
				}
			}
		})
	}
	each(asks, 10*time.Millisecond, func(int) (answer, error) { return w.try("GET", "/whoami", token, "") })
	each(logins, 50*time.Millisecond, func(n int) (answer, error) {
		_, got, err := w.tryLogin(fmt.Sprint("new ", n))
		return got, err
	})
	return asks, logins, func() { stop(); clients.Wait() }
}
