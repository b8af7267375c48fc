// Package completion completes command lines in shells: each shell has a small script that asks this program.
package completion

import (
	"fmt"
	"io"
	"strings"

	"wxgate/command/cli"
)

// Word is the first argument of the scripts of the shells, followed by the words of a command line without wxgate,
// of which the last is to be completed.
const Word = "__complete"

// Each script calls `wxgate __complete WORD…`. A line of what it prints is a candidate and, behind a tab, what it means;
// the line :files stands for the names of files.
const (
	bashScript = `# Completion of wxgate for bash: eval "$(wxgate completion bash)"
_wxgate() {
    local cur=${COMP_WORDS[COMP_CWORD]} line files=
    [[ $cur == "=" ]] && cur=
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :files ]]; then files=yes; else COMPREPLY+=("${line%%$'\t'*}"); fi
    done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [[ -n $files ]]; then
        compopt -o filenames 2>/dev/null
        while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$cur")
    fi
}
complete -F _wxgate wxgate
`
	zshScript = `#compdef wxgate
# Completion of wxgate for zsh: wxgate completion zsh > "${fpath[1]}/_wxgate"
_wxgate() {
    local line files
    local -a found
    for line in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}"; do
        case $line in
            '') ;;
            :files) files=yes ;;
            *) found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done
    (( $#found )) && _describe wxgate found
    if [[ -n $files ]]; then _files; fi
}
if [[ $funcstack[1] == _wxgate ]]; then _wxgate "$@"; else compdef _wxgate wxgate; fi
`
	fishScript = `# Completion of wxgate for fish: wxgate completion fish > ~/.config/fish/completions/wxgate.fish
function __wxgate_complete
    set -l words (commandline -opc)
    set -l cur (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] "$cur" 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path "$cur"
        else
            echo $line
        end
    end
end
complete -c wxgate -f -a '(__wxgate_complete)'
`
)

// Script is the one of a shell: bash, zsh or fish.
func Script(shell string) string {
	return map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[shell]
}

// Values are those of the flags and arguments that have the tag complete:"KIND"; config is the configuration file that the
// command line names.
type Values func(kind, config string) []Candidate

// Write writes the candidates for the last of the words.
func Write(out io.Writer, program *cli.Node, words []string, values Values) {
	if len(words) == 0 {
		words = []string{""}
	}
	typed, last := words[:len(words)-1], words[len(words)-1]
	if last == "=" { // bash makes a word of it
		last = ""
	}
	at := walk(program, typed)
	for _, c := range at.candidates(values, last) {
		if strings.HasPrefix(c.Value, last) || c.Value == filesLine {
			line := c.Value
			if c.Does != "" {
				line += "\t" + c.Does
			}
			_, _ = fmt.Fprintln(out, line)
		}
	}
}

// filesLine stands for the names of files.
const filesLine = ":files"

// Candidate is a word, and what it means.
type Candidate struct{ Value, Does string }

// cursor is where in a command line a word is to be completed.
type cursor struct {
	node     *cli.Node
	awaiting *cli.Value // whose value it is; nil: none's
	args     int        // positional arguments before it
	literal  bool       // behind --
	config   string
}

// walk goes over the words before the one to complete.
func walk(program *cli.Node, words []string) cursor {
	at := cursor{node: program, config: "gateway.yaml"}
	for _, word := range words {
		name, value, assigned := strings.Cut(word, "=")
		switch {
		case word == "=": // bash makes a word of it
		case at.awaiting != nil:
			at.accept(at.awaiting, word)
			at.awaiting = nil
		case at.literal:
			at.args++
		case word == "--":
			at.literal = true
		case strings.HasPrefix(word, "-") && word != "-":
			if flag := at.flag(name); flag != nil && !flag.IsBool() {
				if assigned {
					at.accept(flag, value)
				} else {
					at.awaiting = flag
				}
			}
		default:
			at.enter(word)
		}
	}
	return at
}

// accept notes the value of a flag that decides on candidates.
func (at *cursor) accept(flag *cli.Value, value string) {
	if flag.Name == "config" {
		at.config = value
	}
}

// enter goes to a command, or past an argument.
func (at *cursor) enter(word string) {
	for _, child := range at.node.Children {
		if child.Name == word && at.args == 0 {
			at.node = child
			return
		}
	}
	at.args++
}

// scopes are the command and those above it, and the one that runs if no command is named.
func (at *cursor) scopes() []*cli.Node {
	var all []*cli.Node
	for node := at.node; node != nil; node = node.Parent {
		all = append(all, node)
	}
	if at.node.Default != nil {
		all = append(all, at.node.Default)
	}
	return all
}

// flag is the one of that name, with its dashes; nil: there is none.
func (at *cursor) flag(name string) *cli.Value {
	for _, node := range at.scopes() {
		for _, flag := range node.Flags {
			if name == "--"+flag.Name || flag.Short != "" && name == "-"+flag.Short {
				return flag
			}
		}
	}
	return nil
}

// candidates are those for a word, whatever it begins with.
func (at *cursor) candidates(values Values, word string) []Candidate {
	name, _, assigned := strings.Cut(word, "=")
	switch {
	case at.awaiting != nil:
		return at.values(values, at.awaiting, at.awaiting.PlaceHolder, "")
	case assigned && strings.HasPrefix(word, "--"):
		if flag := at.flag(name); flag != nil && !flag.IsBool() {
			return at.values(values, flag, flag.PlaceHolder, name+"=")
		}
		return nil
	case strings.HasPrefix(word, "-") && !at.literal:
		return at.flags()
	}
	return append(at.commands(), at.arguments(values)...)
}

func (at *cursor) flags() (all []Candidate) {
	for _, node := range at.scopes() {
		for _, flag := range node.Flags {
			all = append(all, Candidate{"--" + flag.Name, flag.Help})
		}
	}
	return all
}

func (at *cursor) commands() (all []Candidate) {
	if at.args > 0 || at.literal {
		return nil
	}
	for _, child := range at.node.Children {
		all = append(all, Candidate{child.Name, child.Help})
	}
	return all
}

// arguments are the values of the positional argument that the word would be.
func (at *cursor) arguments(values Values) []Candidate {
	if at.args >= len(at.node.Args) {
		return nil
	}
	arg := at.node.Args[at.args]
	return at.values(values, arg, strings.ToUpper(arg.Name), "")
}

// values are those that a flag or an argument may have, each behind a prefix. What they are its enum says, the tag
// complete, or a placeholder with FILE in it.
func (at *cursor) values(known Values, of *cli.Value, placeholder, prefix string) (all []Candidate) {
	kind := of.Tag.Get("complete")
	switch {
	case of.Enum != nil:
		for _, value := range of.Enum {
			if value != "" {
				all = append(all, Candidate{prefix + value, ""})
			}
		}
	case kind == "file" || strings.Contains(placeholder, "FILE"):
		all = append(all, Candidate{filesLine, ""})
	case kind != "":
		for _, c := range known(kind, at.config) {
			all = append(all, Candidate{prefix + c.Value, c.Does})
		}
	}
	return all
}
