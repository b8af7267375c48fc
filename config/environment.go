package config

import (
	"fmt"
	"net"

	"wxgate/authn/token"
	"wxgate/config/strictyaml"
	"wxgate/input"
	"wxgate/secret"
	"wxgate/storage"
)

// fromEnvironment fills what the file leaves out, and lets PORT win over server.listen as WeChat Cloud Run expects. It
// returns which keys it filled.
func (c *Config) fromEnvironment(env strictyaml.LookupEnv) filled {
	filled := filled{}
	if id, ok := env("WX_APPID"); ok && c.WeChat.AppID == "" && len(c.WeChat.Apps) == 0 {
		c.WeChat.AppID, filled["wechat.appid"] = id, "WX_APPID in the environment"
	}
	if text, ok := env("WX_SECRET"); ok && c.WeChat.Secret.Reveal() == "" && len(c.WeChat.Apps) == 0 {
		c.WeChat.Secret, filled["wechat.secret"] = secret.Text(text), "WX_SECRET in the environment"
	}
	if text, ok := env("JWT_SECRET"); ok && len(c.Authn.Keys) == 0 {
		c.Authn.Keys = []token.KeyConfig{{ID: "main", Secret: secret.Text(text)}}
		filled["authn.keys[0]"], filled["authn.keys[0].secret"] = "JWT_SECRET in the environment", "JWT_SECRET in the environment"
	}
	if address, ok := env("MYSQL_ADDRESS"); ok && address != "" && c.Storage.Driver == storage.DriverMySQL && c.Storage.MySQL.DSN.Reveal() == "" {
		c.Storage.MySQL.DSN, filled["storage.mysql.dsn"] = databaseOf(address, env), "MYSQL_ADDRESS, MYSQL_USERNAME and MYSQL_PASSWORD in the environment"
	}
	if port, ok := c.PortFromEnvironment(env); ok {
		filled["server.listen"] = fmt.Sprintf("PORT=%s in the environment", port)
	}
	return filled
}

// misplaced refuses an embedded store where the environment says that its users would be lost or divided: each container
// of WeChat Cloud Run has a disk of its own, which ends with it.
func (c Config) misplaced(env strictyaml.LookupEnv) (f input.Faults) {
	if c.Storage.Driver == storage.DriverMySQL {
		return c.halfAddressed(env)
	}
	if c.Storage.Driver != storage.DriverBadger || c.Storage.Badger.AcceptSingleReplica {
		return nil
	}
	for _, sign := range []struct{ name, means string }{
		{"MYSQL_ADDRESS", "a database is meant for this service"},
		{"CBR_ENV_ID", "this is WeChat Cloud Run, which starts several containers and keeps the disk of none"},
	} {
		if value, _ := env(sign.name); value != "" {
			f.Add("storage.driver", "want mysql, because %s is set: %s. If this gateway is the only one and its disk stays, set storage.badger.accept_single_replica: true",
				sign.name, sign.means)
			break
		}
	}
	return f
}

// halfAddressed names the variables without which MYSQL_ADDRESS is of no use.
func (c Config) halfAddressed(env strictyaml.LookupEnv) (f input.Faults) {
	address, _ := env("MYSQL_ADDRESS")
	if address == "" || c.Storage.MySQL.DSN != databaseOf(address, env) {
		return nil
	}
	for _, name := range []string{"MYSQL_USERNAME", "MYSQL_PASSWORD"} {
		if value, _ := env(name); value == "" {
			f.Add("", "%s in the environment: is empty, and MYSQL_ADDRESS is set; the database is reached by both", name)
		}
	}
	return f
}

// databaseOf is the DSN of the database that WeChat Cloud Run gives a service.
func databaseOf(address string, env strictyaml.LookupEnv) secret.Text {
	user, _ := env("MYSQL_USERNAME")
	password, _ := env("MYSQL_PASSWORD")
	database, ok := env("MYSQL_DATABASE")
	if !ok || database == "" {
		database = "wxgate"
	}
	return secret.Text(fmt.Sprintf("%s:%s@tcp(%s)/%s", user, password, address, database))
}

// PortFromEnvironment makes PORT, where it is set, the port of server.listen.
func (c *Config) PortFromEnvironment(env strictyaml.LookupEnv) (port string, ok bool) {
	port, ok = env("PORT")
	if !ok || port == "" {
		return "", false
	}
	host, _, err := net.SplitHostPort(c.Server.Listen)
	if err != nil {
		host = ""
	}
	c.Server.Listen = net.JoinHostPort(host, port)
	return port, true
}

// filled are the keys that the environment filled, with the words for where their values come from.
type filled map[string]string

// name makes faults of such keys faults of the variable: the file has no such key.
func (f filled) name(faults input.Faults) input.Faults {
	for i, fault := range faults {
		if from, ok := f[fault.Path]; ok {
			faults[i] = input.Fault{Message: from + ": " + fault.Message}
		}
	}
	return faults
}
