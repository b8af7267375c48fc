package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/storagetest"
)

// TestConformanceOnGalera opens each store on another node than the one before. WXGATE_GALERA has the DSNs of the nodes,
// separated by blanks; see scripts/galera.sh.
func TestConformanceOnGalera(t *testing.T) {
	t.Parallel()
	nodes := strings.Fields(os.Getenv("WXGATE_GALERA"))
	if len(nodes) == 0 {
		t.Skip("make long WHAT=galera")
	}
	var made, opened atomic.Int64
	storagetest.Run(t, func(t *testing.T) storagetest.Bench {
		name := fmt.Sprintf("conformance%d", made.Add(1))
		for i, node := range nodes {
			statement := "SELECT 1" // waits until the node has what the first has acknowledged
			if i == 0 {
				statement = "CREATE OR REPLACE DATABASE " + name
			}
			db, err := sql.Open("mysql", node+"?wsrep_sync_wait=1")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
			_ = db.Close()
		}
		c := storagetest.NewClock()
		return storagetest.Bench{Clock: c, Open: func() (*storage.Store, error) {
			dsn := nodes[int(opened.Add(1))%len(nodes)]
			dsn = dsn[:strings.LastIndexByte(dsn, '/')+1] + name
			s, err := open(context.Background(), configOf(dsn), prometheus.NewRegistry(), quiet(), clock{c.Now, c.Ran})
			if err != nil {
				return nil, err
			}
			if conn, err := s.driver.db.Conn(context.Background()); err == nil {
				_ = conn.Raw(func(raw any) error {
					if hosted, ok := raw.(*hostConn); !ok || !hosted.galera {
						t.Error("the node is not recognized as one of Galera")
					}
					return nil
				})
				_ = conn.Close()
			}
			return s.Store, nil
		}}
	})
}
