package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	connectWait = time.Second            // for one server to answer, and to say that it takes part
	suspectWait = 400 * time.Millisecond // for one to which a connection has just broken, when there are others
	returnAfter = 30 * time.Second       // on another server, until the preferred one is tried again
)

// errNotReady is a Galera node that does not take part.
var errNotReady = errors.New("the Galera node is not ready")

// hosts connects to the first of several servers that answers. All connections of a pool, and of all processes with the
// same list, go to the same one: writers on several nodes of Galera get in each other's way.
type hosts struct {
	log        *slog.Logger
	addresses  []string
	connectors []driver.Connector

	mu      sync.Mutex
	at      int       // the server in use
	left    time.Time // when the one before it failed
	suspect time.Time // when a connection broke: older ones may be to a server that hangs
}

func newHosts(configs []*mysql.Config, log *slog.Logger) *hosts {
	h := &hosts{log: log}
	for _, cfg := range configs {
		connector, err := mysql.NewConnector(cfg)
		if err != nil {
			connector = brokenConnector{err} // parseDSN has tried it before
		}
		h.addresses, h.connectors = append(h.addresses, cfg.Addr), append(h.connectors, connector)
	}
	return h
}

// brokenConnector is a configuration that cannot connect.
type brokenConnector struct{ err error }

// Connect fails.
func (b brokenConnector) Connect(context.Context) (driver.Conn, error) { return nil, b.err }

// Driver is that of MySQL.
func (brokenConnector) Driver() driver.Driver { return mysql.MySQLDriver{} }

// Driver is that of MySQL.
func (h *hosts) Driver() driver.Driver { return mysql.MySQLDriver{} }

// Connect connects to the server in use, or to the next that answers, which then is in use.
func (h *hosts) Connect(ctx context.Context) (driver.Conn, error) {
	first := h.first()
	var errs []error
	for i := range h.connectors {
		at := (first + i) % len(h.connectors)
		conn, err := h.connect(ctx, at)
		if err == nil {
			h.use(at)
			return conn, nil
		}
		errs = append(errs, err)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			h.skip(first, at) // whoever connects next does not lose as much time
		}
		if c := classOf(err); ctx.Err() != nil || c == fatal || c == again {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// first is the server to try first.
func (h *hosts) first() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at != 0 && time.Since(h.left) > returnAfter {
		h.left = time.Now() // one connection in half a minute looks whether it is back
		return 0
	}
	return h.at
}

// use makes a server the one in use.
func (h *hosts) use(at int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at != at {
		h.log.Warn("the database is served by another server now", "server", h.addresses[at], "before", h.addresses[h.at])
		h.at, h.left = at, time.Now()
	}
}

// failed lets connections go to the server behind one that is in use and has failed.
func (h *hosts) failed(at int) { h.skip(at, at) }

// skip lets connections begin behind the last of some servers that failed, of which the first is in use.
func (h *hosts) skip(first, last int) {
	h.mu.Lock()
	inUse := h.at == first
	h.mu.Unlock()
	if inUse {
		h.use((last + 1) % len(h.connectors))
	}
}

// broke notes that a connection to the server in use broke or was not answered.
func (h *hosts) broke() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.suspect = time.Now()
}

// trusts reports whether a connection is to the server in use, and none broke since it was opened.
func (h *hosts) trusts(at int, opened time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at == at && opened.After(h.suspect)
}

// patienceWith is how long a server may take to answer.
func (h *hosts) patienceWith(at int) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.connectors) > 1 && at == h.at && time.Since(h.suspect) < connectWait {
		return suspectWait
	}
	return connectWait
}

// connect connects to one server, and prepares the session.
func (h *hosts) connect(ctx context.Context, at int) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, h.patienceWith(at))
	defer cancel()
	conn, err := h.connectors[at].Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", h.addresses[at], err)
	}
	c, ok := conn.(mysqlConn)
	if !ok {
		return nil, errors.Join(errors.New("the driver of MySQL is another one than expected"), conn.Close())
	}
	wrapped := &hostConn{mysqlConn: c, hosts: h, host: at, opened: time.Now()}
	if err := wrapped.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", h.addresses[at], err), conn.Close())
	}
	return wrapped, nil
}

// mysqlConn is what database/sql uses of a connection.
type mysqlConn interface {
	driver.Conn
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

// hostConn is a connection that knows its server.
type hostConn struct {
	mysqlConn
	hosts  *hosts
	host   int
	opened time.Time
	galera bool
}

// isGalera reports whether a connection is to a node of Galera.
func isGalera(conn *sql.Conn) (is bool) {
	_ = conn.Raw(func(raw any) error {
		if c, ok := raw.(*hostConn); ok {
			is = c.galera
		}
		return nil
	})
	return is
}

// prepare sets the session up: what one transaction reads is what others have committed by then, and on Galera what any
// node has acknowledged.
func (c *hostConn) prepare(ctx context.Context) error {
	if _, err := c.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", nil); err != nil {
		return err
	}
	on, err := c.variable(ctx, "SHOW GLOBAL VARIABLES LIKE 'wsrep_on'")
	if err != nil || !strings.EqualFold(on, "ON") {
		return err
	}
	c.galera = true
	ready, err := c.variable(ctx, "SHOW GLOBAL STATUS LIKE 'wsrep_ready'")
	if err != nil {
		return err
	}
	if !strings.EqualFold(ready, "ON") {
		return errNotReady
	}
	_, err = c.ExecContext(ctx, "SET SESSION wsrep_sync_wait = 1", nil)
	return err
}

// variable is the value of the one row that a SHOW returns, or nothing.
func (c *hostConn) variable(ctx context.Context, show string) (value string, err error) {
	rows, err := c.QueryContext(ctx, show, nil)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		err := rows.Next(row)
		if errors.Is(err, io.EOF) {
			return value, nil
		}
		if err != nil {
			return "", err
		}
		switch text := row[len(row)-1].(type) {
		case []byte:
			value = string(text)
		case string:
			value = text
		}
	}
}

// ResetSession lets a connection be closed that is to a server not in use any more, or older than one that broke: an
// operation that took several such one after the other would wait for a server that hangs each time.
func (c *hostConn) ResetSession(ctx context.Context) error {
	if !c.hosts.trusts(c.host, c.opened) {
		return driver.ErrBadConn
	}
	return c.mysqlConn.ResetSession(ctx)
}
