package e2e

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// galera is a cluster of three nodes, numbered from 1, that scripts/galera.sh runs.
type galera struct {
	t     *testing.T
	env   []string
	hosts string // host:port of the nodes, in order
	nodes []*sql.DB
}

// tunedTimers let a cluster notice within a second or so that a node is gone; it takes six by default.
const tunedTimers = "evs.keepalive_period=PT0.3S;evs.inactive_check_period=PT0.2S;evs.suspect_timeout=PT1S;evs.inactive_timeout=PT5S;evs.install_timeout=PT5S"

// galeraLogin is the user that the script makes, and the database.
const galeraUser, galeraPassword, galeraDatabase = "gw", "gwpass", "gateway"

func startGalera(t *testing.T) *galera {
	t.Helper()
	dir, err := os.MkdirTemp("", "wxgate-galera-") // a socket has a short path
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // of a server that refuses to be root
		t.Fatal(err)
	}
	base := freePorts(t)
	g := &galera{t: t, env: append(os.Environ(), "GDIR="+dir, fmt.Sprint("GBASE=", base), "GPROV="+tunedTimers)}
	t.Cleanup(func() { g.script("wipe") })
	g.script("up", "3")
	var hosts []string
	for i := range 3 {
		host := fmt.Sprintf("127.0.0.1:%d", base+i)
		hosts = append(hosts, host)
		node, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)/%s?timeout=1s&readTimeout=30s&wsrep_sync_wait=1", galeraUser, galeraPassword, host, galeraDatabase))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = node.Close() })
		g.nodes = append(g.nodes, node)
	}
	g.hosts = strings.Join(hosts, ",")
	return g
}

// freePorts is a port that is free with all others that the script derives from it.
func freePorts(t *testing.T) int {
	t.Helper()
	for base := 15301; base < 19000; base += 100 {
		free := true
		for _, port := range []int{0, 1, 2, 1000, 1001, 1002, 1010, 1011, 1012, 1020, 1021, 1022} {
			ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base+port))
			if free = free && err == nil; err == nil {
				_ = ln.Close()
			}
		}
		if free {
			return base
		}
	}
	t.Fatal("no ports are free for a cluster")
	return 0
}

// script runs a command of scripts/galera.sh.
func (g *galera) script(args ...string) {
	g.t.Helper()
	cmd := exec.Command("../scripts/galera.sh", args...)
	cmd.Env = g.env
	if out, err := cmd.CombinedOutput(); err != nil {
		g.t.Errorf("galera.sh %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (g *galera) each(command string, nodes ...int) {
	g.t.Helper()
	var all sync.WaitGroup
	for _, node := range nodes {
		all.Go(func() { g.script(command, fmt.Sprint(node)) })
	}
	all.Wait()
}

// kill, start, freeze and thaw nodes at the same time.
func (g *galera) kill(nodes ...int)   { g.t.Helper(); g.each("kill9", nodes...) }
func (g *galera) start(nodes ...int)  { g.t.Helper(); g.each("start", nodes...) }
func (g *galera) freeze(nodes ...int) { g.t.Helper(); g.each("freeze", nodes...) }
func (g *galera) thaw(nodes ...int)   { g.t.Helper(); g.each("thaw", nodes...) }

// await waits until every node takes part.
func (g *galera) await() {
	g.t.Helper()
	eventually(g.t, 90*time.Second, func() bool {
		for _, node := range g.nodes {
			if _, err := node.ExecContext(g.t.Context(), "SELECT 1 FROM information_schema.PROCESSLIST LIMIT 1"); err != nil {
				return false
			}
		}
		return true
	})
}

// busiest is the node with most connections of gateways: the one that they write to. other is the one with fewer, which
// their feeds read.
func (g *galera) busiest() (writer, reader int) {
	g.t.Helper()
	g.await()
	most := -1
	connections := make([]int, len(g.nodes))
	for i, node := range g.nodes {
		const query = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = ? AND DB = ?"
		if err := node.QueryRowContext(g.t.Context(), query, galeraUser, galeraDatabase).Scan(&connections[i]); err != nil {
			g.t.Fatalf("node %d: %v", i+1, err)
		}
		if connections[i] > most {
			writer, most = i+1, connections[i]
		}
	}
	most = -1
	for i, n := range connections {
		if i+1 != writer && n > most {
			reader, most = i+1, n
		}
	}
	return writer, reader
}
