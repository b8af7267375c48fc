package report

import (
	"fmt"
	"strings"
	"time"
)

// WeChatLatencies returns how long WeChat takes in the measurements of logins.
func WeChatLatencies() []time.Duration {
	return []time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond}
}

// LoginClients returns how many clients log in at a time.
func LoginClients() []int { return []int{1, 16, 64, 256} }

// LoginScenario names a measurement of logins.
func LoginScenario(latency time.Duration, clients int) string {
	return fmt.Sprintf("logins/%dms/%d", latency.Milliseconds(), clients)
}

// Logins renders throughput and latency of logins.
func Logins(r *Run) Page {
	table := &Table{Header: []string{"clients"}}
	throughput := Lines{Title: "Logins a second", Axis: "clients", Log: true}
	slowest := Lines{Title: "p99 of a login, ms", Axis: "clients", Log: true}
	for _, latency := range WeChatLatencies() {
		name := fmt.Sprintf("WeChat %d ms", latency.Milliseconds())
		table.Header = append(table.Header, name+": logins/s", "p50 ms", "p99 ms")
		perSecond, p99 := Line{Name: name}, Line{Name: name}
		for _, clients := range LoginClients() {
			scenario := LoginScenario(latency, clients)
			perSecond.Values = append(perSecond.Values, r.Median(wxgate, scenario, PerSecond))
			p99.Values = append(p99.Values, r.Median(wxgate, scenario, P99)/1e3)
		}
		throughput.Lines, slowest.Lines = append(throughput.Lines, perSecond), append(slowest.Lines, p99)
	}
	table.Header = append(table.Header, "CPU µs")
	for _, clients := range LoginClients() {
		label := fmt.Sprint(clients)
		throughput.Steps, slowest.Steps = append(throughput.Steps, label), append(slowest.Steps, label)
		table.Add(loginRow(r, clients)...)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\n%s\nCPU µs: CPU time of the gateway per login, with a WeChat that answers at once.\n\n", measuredOn(r), table)
	text.WriteString("![logins a second](bench/logins-throughput.svg)\n\n![p99 of logins](bench/logins-p99.svg)\n")
	return Page{Markdown: text.String(), Plots: map[string]string{"logins-throughput.svg": throughput.SVG(), "logins-p99.svg": slowest.SVG()}}
}

func loginRow(r *Run, clients int) []string {
	row := []string{fmt.Sprint(clients)}
	for _, latency := range WeChatLatencies() {
		scenario := LoginScenario(latency, clients)
		row = append(row, Number(r.Median(wxgate, scenario, PerSecond)),
			Number(r.Median(wxgate, scenario, P50)/1e3), Number(r.Median(wxgate, scenario, P99)/1e3))
	}
	return append(row, Number(r.Median(wxgate, LoginScenario(0, clients), CPU)))
}
