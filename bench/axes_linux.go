package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"wxgate/bench/contestants"
	"wxgate/bench/report"
	"wxgate/bench/tokens"
)

// axis is something that grows, in a few steps.
type axis struct {
	report.Axis
	steps     []point
	reference bool // the reference does the same, and is measured as well
	idle      bool // connections are held, and memory is measured
}

// point is a step of an axis: who is asked for what.
type point struct {
	label       string
	contestant  contestants.Contestant
	users       int // in its data before the first start
	revocations int
	kind        scenario
	percent     int // of new tokens
	slices      int // by how much slices are longer
}

// axes returns everything that grows, in front of that service.
func axes(service netip.AddrPort) []axis {
	return []axis{
		{Axis: report.Axis{Name: "routes", About: "routes; requests go to 1,000 of them at most"}, steps: routePoints()},
		{Axis: report.Axis{Name: "users", About: "users"}, steps: dataPoints("users", []int{1000, 10_000, 100_000, 1_000_000}, 1, 0)},
		{Axis: report.Axis{Name: "revocations", About: "live revocations"}, steps: dataPoints("revocations", []int{0, 10_000, 100_000, 1_000_000}, 0, 1)},
		{Axis: report.Axis{Name: "tokens", About: "share of requests with a token that was never seen before, %"}, steps: tokenPoints()},
		{Axis: report.Axis{Name: "targets", About: "targets of the upstream"}, steps: targetPoints(service.Port())},
		{Axis: report.Axis{Name: "response", About: "bytes of an answer"}, steps: responsePoints(), reference: true},
		{Axis: report.Axis{Name: "connections", About: "busy connections, limits raised"}, steps: connectionPoints(raised()), reference: true},
		{Axis: report.Axis{Name: "shipped", About: "busy connections, limits as shipped"}, steps: connectionPoints(shipped())},
		{Axis: report.Axis{Name: "idle", About: "idle connections, limits raised"}, steps: connectionPoints(raised()), reference: true, idle: true},
		{Axis: report.Axis{Name: "cores", About: "CPUs; of two, the load generator uses one as well"}, steps: corePoints()},
	}
}

func shipped() contestants.Contestant {
	return contestants.WXGate("wxgate-shipped", "", contestants.Options{})
}

func raised() contestants.Contestant {
	return contestants.WXGate("wxgate-raised", "", contestants.Options{Raised: true})
}

// saturated is the scenario that most axes vary.
func saturated() scenario {
	s, _ := scenarioOf("sat") // which exists
	return s
}

func routePoints() (points []point) {
	for _, routes := range []int{10, 100, 1000, 10_000} {
		p := point{label: report.Count(routes), kind: saturated()}
		p.contestant = contestants.WXGate(fmt.Sprintf("wxgate-routes-%d", routes), "", contestants.Options{Routes: routes})
		p.kind.load.Paths = nil
		for i := range min(routes, 1000) {
			p.kind.load.Paths = append(p.kind.load.Paths, fmt.Sprintf("/more/service%d/items/7/recipes?page=1&size=10", i*max(1, routes/1000)))
		}
		points = append(points, p)
	}
	return points
}

// dataPoints have so many users or revocations in their data; users and revocations are 0 or 1.
func dataPoints(name string, sizes []int, users, revocations int) (points []point) {
	for _, size := range sizes {
		p := point{label: report.Count(size), kind: saturated(), users: users * size, revocations: revocations * size}
		p.contestant = contestants.WXGate(fmt.Sprintf("wxgate-%s-%d", name, size), "", contestants.Options{})
		points = append(points, p)
	}
	return points
}

func tokenPoints() (points []point) {
	for _, percent := range []int{0, 25, 50, 100} {
		p := point{label: fmt.Sprint(percent), contestant: shipped(), kind: saturated(), percent: percent}
		if percent > 0 {
			p.kind.tokens = tokens.Mixed(percent)
		}
		points = append(points, p)
	}
	return points
}

func targetPoints(port uint16) (points []point) {
	for _, count := range []int{1, 10, targetsMost} {
		var targets []string
		for i := range count {
			targets = append(targets, "http://"+loopback(i+1, int(port)).String())
		}
		p := point{label: report.Count(count), kind: saturated()}
		p.contestant = contestants.WXGate(fmt.Sprintf("wxgate-targets-%d", count), "", contestants.Options{Targets: targets})
		points = append(points, p)
	}
	return points
}

func responsePoints() (points []point) {
	for _, size := range []int{0, 1000, 10_000, 100_000, 1_000_000, 10_000_000} {
		p := point{label: report.Count(size), contestant: shipped(), kind: saturated()}
		p.kind.heavy, p.kind.load.Connections = true, 16
		p.kind.load.Paths = []string{fmt.Sprintf("/api/v1/size/%d", size)}
		points = append(points, p)
	}
	return points
}

func connectionPoints(c contestants.Contestant) (points []point) {
	for _, connections := range []int{64, 1000, 5000, 9000, 15_000, 20_000} {
		p := point{label: report.Count(connections), contestant: c, kind: saturated()}
		p.kind.load.Connections = connections
		if connections > 64 {
			p.slices, p.kind.load.Warmup = 2, 2*time.Second
		}
		if connections <= connectionsMost() {
			points = append(points, p)
		}
	}
	return points
}

// connectionsMost is for how many connections a contestant has descriptors, with those to the service.
func connectionsMost() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int(min(limit.Max, 1<<20)) - 4096
}

func corePoints() []point {
	one, two := shipped(), contestants.WXGate("wxgate-two-cores", "", contestants.Options{})
	two.CPUs = "0,1"
	return []point{{label: "1", contestant: one, kind: saturated()}, {label: "2", contestant: two, kind: saturated()}}
}

// prepare makes the data of a step.
func (p point) prepare(ctx context.Context, r *rig) (contestants.Contestant, error) {
	c := p.contestant
	if p.users+p.revocations == 0 {
		return c, nil
	}
	c.Options.Data = r.dataFolder(c.Name)
	r.say("%s: writing %d users and %d revocations", c.Name, p.users, p.revocations)
	return c, fill(ctx, c.Options.Data, p.users, p.revocations)
}
