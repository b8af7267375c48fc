// Package mysqltest starts a real MariaDB for tests: Debian's mariadb-server, without any of the system's files.
package mysqltest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Server is a MariaDB in a folder of its own, in the time zone of China, that listens on a socket alone.
type Server struct {
	DB     *sql.DB // as root, of no database
	Socket string
	dir    string
	cmd    *exec.Cmd
	made   atomic.Int64 // databases
}

// startWait is for a machine that is busy with other tests.
const startWait = 90 * time.Second

// Start starts a server, with more options than usual. It must be stopped.
func Start(options ...string) (_ *Server, err error) {
	path, err := exec.LookPath("mariadbd")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/mariadbd") // which is not on everybody's path
	}
	if err != nil {
		return nil, errors.New("there is no mariadbd; apt-get install --no-install-recommends mariadb-server")
	}
	s := new(Server)
	if s.dir, err = os.MkdirTemp("", "wxgate-mariadb-"); err != nil { // a socket has a short path
		return nil, err
	}
	if err := s.start(path, options); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) start(path string, options []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startWait)
	defer cancel()
	name, err := s.own(ctx)
	if err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	s.Socket = filepath.Join(s.dir, "s")
	install := exec.CommandContext(ctx, "mariadb-install-db", "--no-defaults", "--user="+name, "--datadir="+data, "--skip-test-db", "--auth-root-authentication-method=normal")
	temporary := append(os.Environ(), "TMPDIR="+s.dir) // ours may be closed to the user that it runs as
	install.Env = temporary
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w: %s", err, out)
	}
	options = append([]string{
		"--no-defaults", "--user=" + name, "--datadir=" + data, "--socket=" + s.Socket, "--pid-file=" + filepath.Join(s.dir, "pid"),
		"--skip-networking", "--default-time-zone=+08:00", "--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0",
		"--max-connections=1000", "--innodb-fast-shutdown=2", "--innodb-flush-method=nosync", "--performance-schema=OFF", "--innodb-file-per-table=0",
	}, options...)
	s.cmd = exec.CommandContext(context.Background(), path, options...)
	s.cmd.Env = temporary
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt of the tests is not for it
	var output bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr = &output, &output
	if err := s.cmd.Start(); err != nil {
		return err
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.MultiStatements, cfg.Logger = "root", "unix", s.Socket, true, &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	s.DB = sql.OpenDB(connector)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for s.DB.PingContext(ctx) != nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("mariadbd does not answer: %s", output.String())
		case <-ticker.C:
		}
	}
	return nil
}

// own gives the folder to the user that the server runs as: it refuses to be root.
func (s *Server) own(ctx context.Context) (name string, err error) {
	me, err := user.Current()
	if err != nil || me.Username != "root" {
		return me.Username, err
	}
	out, err := exec.CommandContext(ctx, "chown", "mysql", s.dir).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("chown: %w: %s", err, out)
	}
	return "mysql", err
}

// NewDatabase makes an empty database and returns its DSN.
func (s *Server) NewDatabase(ctx context.Context) (dsn string, err error) {
	name := fmt.Sprintf("db%d", s.made.Add(1))
	_, err = s.DB.ExecContext(ctx, "CREATE DATABASE "+name)
	return s.DSN(name), err
}

// CopyTables makes the tables of one database, with their rows, in another, both by their DSN.
func (s *Server) CopyTables(ctx context.Context, from, into string) error {
	source, destination := filepath.Base(from), filepath.Base(into)
	rows, err := s.DB.QueryContext(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = ?", source)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var statements strings.Builder
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(&statements, "CREATE TABLE %[2]s.%[3]s LIKE %[1]s.%[3]s; INSERT INTO %[2]s.%[3]s SELECT * FROM %[1]s.%[3]s;", source, destination, table)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_, err = s.DB.ExecContext(ctx, statements.String())
	return err
}

// DSN is that of a database, as root.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("root@unix(%s)/%s", s.Socket, database)
}

// Signal sends the server a signal, such as SIGSTOP.
func (s *Server) Signal(signal os.Signal) error { return s.cmd.Process.Signal(signal) }

// Stop stops the server and removes its folder.
func (s *Server) Stop() error {
	var errs []error
	if s.DB != nil {
		errs = append(errs, s.DB.Close())
	}
	if s.cmd != nil && s.cmd.Process != nil {
		errs = append(errs, s.cmd.Process.Signal(syscall.SIGTERM))
		_ = s.cmd.Wait() // by the signal
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}
