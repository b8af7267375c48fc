// Command wxgate is the front door of a WeChat mini-program: it logs users in with WeChat, verifies the bearer token of
// every other request, and forwards it to the team's own services with identity headers that no client can forge.
package main

import (
	"os"

	"wxgate/command"
)

func main() { os.Exit(command.Run()) }
