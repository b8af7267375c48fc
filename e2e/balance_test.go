package e2e

import "testing"

func TestP2CAgainstRoundRobin(t *testing.T) { wantsChaos(t) }
