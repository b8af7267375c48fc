package mysql

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxgate/input"
	"wxgate/storage"
)

const (
	workTimeout      = 1500 * time.Millisecond // for one statement to be answered
	feedTimeout      = 500 * time.Millisecond
	migrationTimeout = time.Hour
)

// address is where the database is: a configuration for each host, the preferred one first.
type address []*mysql.Config

// String is the address without the password.
func (a address) String() string {
	hosts := make([]string, 0, len(a))
	for _, cfg := range a {
		hosts = append(hosts, cfg.Addr)
	}
	return strings.Join(hosts, ", ") + "/" + a[0].DBName
}

// Check reports the faults of the section storage.mysql. It only looks: nothing is connected.
func Check(cfg storage.MySQL) (f input.Faults) {
	if cfg.DSN == "" {
		f.Add("dsn", "is empty; set it here, or MYSQL_ADDRESS, MYSQL_USERNAME and MYSQL_PASSWORD in the environment")
	} else if _, err := parseDSN(cfg); err != nil {
		f.Add("dsn", "%v", err)
	}
	return f
}

// Place is where the database is, without the password.
func Place(cfg storage.MySQL) string {
	a, err := parseDSN(cfg)
	if err != nil {
		return ""
	}
	return a.String()
}

// errDSN never quotes the text, which has a password.
var errDSN = errors.New("want user:password@tcp(host:3306)/database, or several hosts with commas, the preferred first: tcp(one:3306,two:3306)")

// parseDSN reads the address. Errors never quote it.
func parseDSN(section storage.MySQL) (address, error) {
	parts := regexp.MustCompile(`(?s)^(.+@[a-z0-9]+\()([^()]+)(\)/.+)$`).FindStringSubmatch(section.DSN.Reveal())
	if parts == nil {
		return nil, errDSN
	}
	var a address
	for host := range strings.SplitSeq(parts[2], ",") {
		cfg, err := mysql.ParseDSN(parts[1] + strings.TrimSpace(host) + parts[3])
		if err != nil || cfg.DBName == "" || strings.TrimSpace(host) == "" {
			return nil, errDSN
		}
		a = append(a, cfg)
	}
	if section.CA == "" {
		return a, nil
	}
	roots, err := os.ReadFile(section.CA)
	if err != nil {
		return nil, fmt.Errorf("storage.mysql.ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		return nil, fmt.Errorf("storage.mysql.ca: %s has no certificate", section.CA)
	}
	for _, cfg := range a {
		host, _, _ := net.SplitHostPort(cfg.Addr)
		cfg.TLS = &tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS12}
		cfg.AllowFallbackToPlaintext = false // as tls=preferred would
	}
	return a, nil
}

// forWork are the configurations of connections that operations use. The server ends those of a gateway that froze or
// lost power, and with them the locks of its transactions, for which all others wait: MySQL once they are idle for longer
// than any of ours, MariaDB after two seconds within a transaction.
func (a address) forWork() []*mysql.Config {
	all := a.with(workTimeout)
	for _, cfg := range all {
		if _, given := cfg.Params["wait_timeout"]; !given {
			cfg.Params["wait_timeout"] = strconv.Itoa(int((connIdle + 15*time.Second).Seconds())) + " /*M!100301 , idle_transaction_timeout = 2 */"
		}
	}
	return all
}

// forFeed are those of the connection that follows revocations. It prefers another host than work does: a node of Galera
// that hangs must not hold up both.
func (a address) forFeed() []*mysql.Config { return slices.Concat(a[1:], a[:1]).with(feedTimeout) }

// forSnapshots are those of a connection that reads all there is, page by page.
func (a address) forSnapshots() []*mysql.Config { return a.with(snapshotTimeout) }

// forMigrations are those of a connection that changes tables, however large they are.
func (a address) forMigrations() []*mysql.Config { return a.with(migrationTimeout) }

func (a address) with(timeout time.Duration) []*mysql.Config {
	all := make([]*mysql.Config, 0, len(a))
	for _, cfg := range a {
		cfg := cfg.Clone()
		cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = min(connectWait, timeout), timeout, timeout
		cfg.InterpolateParams, cfg.ParseTime, cfg.Loc, cfg.MultiStatements = true, true, time.UTC, false
		cfg.Collation = "utf8mb4_general_ci" // of the connection alone: every server knows it
		cfg.Logger = &mysql.NopLogger{}      // what it says is in the errors too
		cfg.Params = maps.Clone(cfg.Params)
		if cfg.Params == nil {
			cfg.Params = map[string]string{}
		}
		cfg.Params["time_zone"] = "'+00:00'"
		cfg.Params["sql_mode"] = "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
		cfg.Params["innodb_lock_wait_timeout"] = "1"
		cfg.Params["lock_wait_timeout"] = strconv.Itoa(lockWait(timeout)) // for a table: what we gave up would wait there for a day
		all = append(all, cfg)
	}
	return all
}

// lockWait is for how many seconds a statement waits for a table that somebody has locked. A migration lets nobody pass
// while it waits, and so it fails before long.
func lockWait(timeout time.Duration) int {
	return int(max(time.Second, min(timeout, 10*time.Second)).Seconds())
}
