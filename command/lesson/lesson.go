// Package lesson is what --help teaches about each command: when to use it, and examples.
package lesson

import (
	"fmt"
	"strings"

	"wxgate/command/cli"
)

// Lesson is what --help teaches about a command beside its flags.
type Lesson struct {
	About    string // when to use it, and what to know before
	Examples []Example
}

// Example is a line of a shell.
type Example struct {
	Line string // as it is typed
	Does string
}

// Teach puts the lessons into the help of the commands, each by its path such as "users ban".
func Teach(program *cli.Node) {
	program.Detail = Beginning().String()
	all := All()
	for _, leaf := range program.Leaves() {
		leaf.Detail = all[leaf.Path()].String()
	}
}

// String is a lesson as help has it: examples are indented, so that they keep their lines.
func (l Lesson) String() string {
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, "%s\n\nExamples:\n", l.About)
	for _, e := range l.Examples {
		_, _ = fmt.Fprintf(&text, "\n    # %s\n    %s\n", e.Does, e.Line)
	}
	return text.String()
}

// Beginning is that of wxgate itself.
func Beginning() Lesson {
	return Lesson{
		"It logs users in with WeChat, and passes their requests to your services with an identity that no client can forge. " +
			"Every command explains itself: wxgate COMMAND --help. The manual is in docs/, in Chinese in docs/zh/.",
		[]Example{
			{"wxgate demo", "try everything on this machine, without a mini-program"},
			{"wxgate init", "write a first gateway.yaml by answering four questions"},
			{"wxgate check", "see what is wrong with it"},
			{"wxgate serve", "run it"},
		},
	}
}

// All are those of all commands, by their paths.
func All() map[string]Lesson {
	return map[string]Lesson{
		"serve": {
			"Runs until it is told to stop (Ctrl-C, SIGTERM), and then finishes what is in flight. A changed file is taken over by itself; SIGHUP does it at once. " +
				"On Linux, SIGUSR2 starts the binary that is on disk now and hands everything over to it.",
			[]Example{
				{"wxgate", "run gateway.yaml of this folder"},
				{"wxgate serve -c /etc/wxgate/gateway.yaml", "run another file"},
				{"wxgate serve --sandbox", "try your file without a mini-program: a stand-in plays WeChat"},
			},
		},
		"demo": {
			"Shows a login, a call and a forged identity with curl lines to paste, and a page with the example mini-program. Nothing is kept. With -c it runs your own file in front of your own services.",
			[]Example{
				{"wxgate demo", "everything on free ports of this machine"},
				{"wxgate demo --listen 127.0.0.1:8000", "at a port of your own"},
				{"wxgate demo -c my.yaml", "your routes and services, with a stand-in for WeChat"},
			},
		},
		"init": {
			"For the first gateway.yaml of a project. It asks four questions, or takes the answers as flags. Secrets stay out of the file: it says which variables to set. A file that exists is left alone unless you say --force.",
			[]Example{
				{"wxgate init", "answer four questions"},
				{"wxgate init --lang zh", "in Chinese, comments of the file too"},
				{"wxgate init --appid wx1234567890abcdef --upstream http://127.0.0.1:3000 --yes", "ask nothing, and take the defaults of the rest"},
				{"wxgate -c prod.yaml init --appid wx1234567890abcdef --upstream http://10.0.0.7:3000 --front api.example.com --yes", "certificates for a domain, into another file"},
			},
		},
		"dashboard": {
			"To look at the running gateway in a browser: what it does now, users, sessions. The URL holds a code that signs one browser in, within a minute.",
			[]Example{
				{"wxgate dashboard", "on the machine of the gateway"},
				{"wxgate dashboard --at http://localhost:9090", "through ssh -L 9090:127.0.0.1:9090 HOST"},
			},
		},
		"doctor": {
			"Run it before the first login and whenever logins fail: it asks WeChat about appid and secret, looks at the store, certificates, clocks and services, and says what to do. " +
				"The exit code is 1 if anything needs attention.",
			[]Example{
				{"wxgate doctor", "look at everything that gateway.yaml depends on"},
				{"wxgate doctor --domain api.example.com", "also call the domain as a phone does"},
				{"wxgate doctor --json", "for a monitor"},
			},
		},
		"prove": {
			"Attacks a gateway of yours and prints what was sent and what came back. Services get nothing of it. It needs server.admin_token, by which the gateway knows who asks.",
			[]Example{
				{"wxgate prove", "attack the gateway on this machine"},
				{"wxgate prove https://api.example.com", "the way that phones take, with everything in front of the gateway"},
				{"wxgate prove https://gateway.internal --ca ca.pem", "with an authority of your own"},
			},
		},
		"check": {
			"Run it after every change of the file, and in CI: it finds every error and what is likely a mistake, each with an id and a severity (docs/check.md). Nothing is started.",
			[]Example{
				{"wxgate check", "look at gateway.yaml"},
				{"wxgate -c prod.yaml check --fail-on warning", "in CI: warnings fail too"},
				{"wxgate check --ignore admin-public --ignore literal-secret", "accept two kinds of findings"},
				{"wxgate check --json", "for a program"},
			},
		},
		"routes list": {
			"Shows what the file results in: your routes and the gateway's own endpoints, in the order in which they win. The gateway need not run, and secrets need not be set.",
			[]Example{
				{"wxgate routes", "a table"},
				{"wxgate routes list --json", "for a program"},
			},
		},
		"routes import": {
			"Saves typing, and finds what a service has and the gateway lacks. The routes go to standard output; notes and differences to standard error.",
			[]Example{
				{"wxgate routes import openapi.json --upstream recipes", "write routes for every operation"},
				{"curl -s http://127.0.0.1:3000/api-json | wxgate routes import - --upstream recipes", "from a service that is running"},
				{"wxgate routes import openapi.json --upstream recipes --diff", "in CI: fail if the file does not do what the document says"},
			},
		},
		"explain": {
			"Answers \"why is this request 401?\" and \"what does my service get?\". Nothing is sent and the gateway need not run. The exit code is 1 if the request would be refused.",
			[]Example{
				{"wxgate explain GET /api/v1/recipes/7", "route, limits, headers, target"},
				{"wxgate explain POST /api/v1/recipes -H 'Content-Type: application/json' --body-length 2000", "with a header and a body"},
				{"wxgate explain GET /api/v1/recipes --from 203.0.113.9 --host api.example.com", "from an address, for a host"},
				{"wxgate explain GET /api/v1/me --token \"$TOKEN\"", "whether a token would be accepted"},
			},
		},
		"health": {
			"For HEALTHCHECK and scripts: the exit code is 0 if the gateway of gateway.yaml answers, and 1 otherwise.",
			[]Example{
				{"wxgate health", "ask the gateway on this machine"},
				{"wxgate health --timeout 1s", "and wait no longer than that"},
			},
		},
		"schema": {
			"For editors: with it beside gateway.yaml and named in its first line, they complete keys, explain them and mark faults.",
			[]Example{
				{"wxgate schema > gateway.schema.json", "write it; the first line is then # yaml-language-server: $schema=gateway.schema.json"},
				{"wxgate schema | jq '.properties | keys'", "which sections there are"},
			},
		},
		"users list": {
			"By id, a page at a time. Like all commands of users and sessions it asks the running gateway, at server.admin of gateway.yaml.",
			[]Example{
				{"wxgate users list", "the first hundred"},
				{"wxgate users list --after 1000 --limit 1000 --json", "the next page, for a program"},
				{"wxgate users list --openid oAQSzRVoGnFD_JkJ5umqN9i4yA3_", "whose openid this is"},
			},
		},
		"users show": {
			"Everything that the gateway knows about one user, except secrets.",
			[]Example{
				{"wxgate users show 44", "by id"},
				{"wxgate users show 44 --json", "for a program"},
			},
		},
		"users import": {
			"Moves users of an existing backend over, with their ids, while the gateway runs. Users who are there already stay as they are, so it can be repeated. Look first with --dry-run.",
			[]Example{
				{"wxgate users import users.jsonl --dry-run", "see what would happen"},
				{"wxgate users import users.csv --map openid=wx_openid,avatar=avatar_url", "from CSV whose columns are called otherwise"},
				{"wxgate users import --from-mysql \"$MYSQL_DSN\" --table users --time-zone +08:00", "from a database"},
				{"wxgate users import --next-id 1000000", "only leave lower ids to another login"},
			},
		},
		"users resync": {
			"After the service of authn.on_user has lost its users, or when it is new. It is told about everybody again, by id.",
			[]Example{
				{"wxgate users resync", "everybody"},
				{"wxgate users resync --after 5000", "continue where an earlier one stopped"},
			},
		},
		"users untold": {
			"Shows what waits for the service of authn.on_user, for how long and why. The gateway goes on telling it.",
			[]Example{
				{"wxgate users untold", "what has waited for ten minutes"},
				{"wxgate users untold --waiting 1h --json", "for an hour, for a program"},
			},
		},
		"users export": {
			"For another system, or to keep. It is personal data: the file is readable by you alone, and an existing file is not replaced.",
			[]Example{
				{"wxgate users export users.jsonl", "a line of JSON per user"},
				{"wxgate users export users.csv", "CSV that Excel opens"},
				{"wxgate users export | jq .openid", "into a program"},
			},
		},
		"users quotas": {
			"For support: what has somebody left today, and more of it if they deserve it.",
			[]Example{
				{"wxgate users quotas 44", "what is left"},
				{"wxgate users quotas 44 --name ai --grant 10", "ten more today"},
				{"wxgate users quotas 44 --name ai --grant=-5", "five fewer"},
			},
		},
		"users ban": {
			"At once, on every device: tokens and logins are refused until the ban ends or is lifted.",
			[]Example{
				{"wxgate users ban 43", "for ever"},
				{"wxgate users ban 43 --for 72h", "for three days"},
			},
		},
		"users unban": {
			"The user has to log in again.",
			[]Example{
				{"wxgate users unban 43", "lift a ban"},
				{"wxgate users unban 43 --json", "and print the user for a program"},
			},
		},
		"users unlink": {
			"When two accounts of one unionid turn out not to be one person. Sessions that began through the account end.",
			[]Example{
				{"wxgate users unlink 45", "the account is a user of its own again"},
				{"wxgate users unlink 45 --json", "and print it for a program"},
			},
		},
		"users erase": {
			"When somebody asks for deletion. Nickname, avatar, phone number and openid are gone, and services are told. It cannot be undone, so it asks for the id again.",
			[]Example{
				{"wxgate users erase 60", "asks first"},
				{"wxgate users erase 60 --yes", "in a script"},
			},
		},
		"sessions list": {
			"Which devices somebody is logged in on.",
			[]Example{
				{"wxgate sessions list 44", "the sessions of user 44"},
				{"wxgate sessions list 44 --limit 100 --json", "for a program"},
			},
		},
		"sessions revoke": {
			"When a phone is lost, or a token was seen by others. When it returns, the tokens are refused by every gateway.",
			[]Example{
				{"wxgate sessions revoke F0pz2brM_zSg0hItE4jbuw", "one device"},
				{"wxgate sessions revoke --user 44", "all of them"},
			},
		},
		"keys new": {
			"For the first start, and to replace a key: put the new one on top of authn.keys and leave the old one below it until its tokens have expired. An existing file is never overwritten.",
			[]Example{
				{"wxgate keys new --out jwt.key", "a shared secret, in a file"},
				{"wxgate keys new --algorithm ES256 --id main", "a key pair whose public half services can have"},
				{"wxgate keys new --json", "for a program; it prints the secret"},
			},
		},
		"token inspect": {
			"Shows what a token says and whether one of your keys signed it. Pass it by standard input, since arguments stay in the history of the shell.",
			[]Example{
				{"wxgate token inspect < token.txt", "from a file"},
				{"pbpaste | wxgate token inspect", "from the clipboard"},
				{"wxgate token inspect --json < token.txt", "for a program"},
			},
		},
		"store copy": {
			"To move from a folder to a database, or back, with the gateway stopped. Both files only need the section storage. It can be repeated, and takes over what has changed since.",
			[]Example{
				{"wxgate store copy --from old.yaml --to gateway.yaml", "copy all"},
				{"wxgate store copy --from old.yaml --to gateway.yaml --json", "for a program, without a progress bar"},
			},
		},
		"store reseal": {
			"After a new key was put on top of storage.encryption_key and the gateway restarted. It can be interrupted and repeated.",
			[]Example{
				{"wxgate store reseal", "seal everything with the first key"},
				{"wxgate store reseal --quiet", "without a progress bar"},
			},
		},
		"backup": {
			"While the gateway serves. The key that opens session_keys and phone numbers is not in it: keep that elsewhere.",
			[]Example{
				{"wxgate backup \"wxgate-$(date +%F).backup\"", "into a new file"},
				{"wxgate backup wxgate.backup --with-key", "with the key; asks first"},
				{"wxgate backup nightly.backup --json", "in a script"},
			},
		},
		"restore": {
			"Stop wxgate first. Every session ends, so that no token from before is accepted; what happened after the backup is lost.",
			[]Example{
				{"wxgate restore wxgate.backup", "fill the empty store of gateway.yaml"},
				{"wxgate restore wxgate.backup --next-user-id 70000", "and never give an id again that services have seen"},
				{"wxgate restore ./data", "a folder that was copied back"},
			},
		},
		"migrate status": {
			"Before an upgrade: what would be changed, and is there a way back?",
			[]Example{
				{"wxgate migrate status", "of the store of gateway.yaml"},
				{"wxgate migrate status --json", "for a program"},
			},
		},
		"migrate up": {
			"As a job of its own, before new gateways start. Without it, the first of them does it.",
			[]Example{
				{"wxgate migrate up", "apply what waits"},
				{"wxgate -c prod.yaml migrate up --json", "in a pipeline"},
			},
		},
		"migrate adopt": {
			"Instead of an import, when the table may become the gateway's. Without --apply it only looks and prints every statement.",
			[]Example{
				{"wxgate migrate adopt users --app wx1234567890abcdef", "look"},
				{"wxgate migrate adopt users --app wx1234567890abcdef --map openid=wx_openid --time-zone +08:00 --apply", "do it, with every gateway stopped"},
			},
		},
		"completion": {
			"Prints a script that lets the shell complete commands, flags, their values and file names with the Tab key.",
			[]Example{
				{`eval "$(wxgate completion bash)"`, "in this bash; put it into ~/.bashrc to keep it"},
				{"wxgate completion zsh > \"${fpath[1]}/_wxgate\"", "for every zsh from now on"},
				{"wxgate completion fish > ~/.config/fish/completions/wxgate.fish", "for every fish"},
			},
		},
		"version": {
			"For a report of a problem.",
			[]Example{
				{"wxgate version", "one line"},
				{"wxgate version --json", "for a program"},
			},
		},
	}
}
