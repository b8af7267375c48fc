package header

import (
	"slices"

	"wxgate/message"
)

// Ingress reports whether a header, in any case, is one by which 微信网关 says something of a request, and not of who asks:
// the client's address, the risk that WeChat sees in it, its device and platform, and numbers of the gateway's own (page
// security/gateway/config/differ). Any other name of X-WX-* is none, whoever sends it. docs/proxy.md has the same names.
func Ingress(name []byte) bool {
	if len(name) < 9 || name[0]|0x20 != 'x' || name[1] != '-' {
		return false
	}
	return slices.ContainsFunc(ingressNames(), func(known string) bool { return message.EqualFold(name, known) })
}

// The headers of 微信网关 that the gateway reads itself.
const (
	IngressClientIP   = "X-WX-Client-IP"
	IngressRisk       = "X-WX-Risk-Rank"
	IngressDeviceRisk = "X-WX-Device-Risk-Rank"
)

func ingressNames() []string {
	return []string{
		IngressClientIP, IngressRisk, IngressDeviceRisk, "X-WX-Device-Security-Status", "X-WX-Device", "X-WX-Device-UV-1d", "X-WX-Device-UV-7d",
		"X-WX-Device-UV-30d", "X-WX-Sub-Session", "X-WX-Platform", "X-WX-Call-Id", "X-WX-Route-Tag", "X-WX-Access-Version", "X-WX-Port",
	}
}

// MaxRiskRank is the highest rank.
const MaxRiskRank = 4

// RiskRank is the higher of the two ranks that 微信网关 gives a request, 0 if it gives none that can be read: 0 is no risk, at 1
// and 2 WeChat advises a captcha, at 3 measures, and at 4 a block. It asks for fields of a request of 微信网关.
func RiskRank(fields *message.Fields) int {
	rank := byte('0')
	for _, name := range []string{IngressRisk, IngressDeviceRisk} {
		for value := range fields.Values(name) {
			if len(value) == 1 && value[0] > rank && value[0] <= '0'+MaxRiskRank {
				rank = value[0]
			}
		}
	}
	return int(rank - '0')
}
