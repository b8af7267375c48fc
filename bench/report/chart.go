package report

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// Bars is a plot of horizontal bars: a group per contestant, in it a bar per series.
type Bars struct {
	Title  string
	Series []string // with two or more, there is a legend
	Groups []Group
	Log    bool // a logarithmic axis
}

// Group has one value per series. NaN is shown as "–".
type Group struct {
	Name   string
	Values []float64
}

// Lines is a plot of lines over steps that are equally far from each other.
type Lines struct {
	Title string
	Axis  string   // what the steps are
	Steps []string // such as 10, 100, 1,000
	Lines []Line
	Log   bool // a logarithmic vertical axis
}

// Line has one value per step. NaN is left out.
type Line struct {
	Name   string
	Values []float64
}

// colors tell series apart for everybody (Okabe and Ito, 2008), and on white and dark pages.
func colors() []string {
	return []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999933", "#666666", "#882255"}
}

// picture is an SVG in the making.
type picture struct {
	strings.Builder
	width float64
}

func newPicture(title string, width, height float64) *picture {
	p := &picture{width: width}
	fmt.Fprintf(p, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" font-size=\"12\">\n", width, height)
	fmt.Fprintf(p, "<rect width=\"%.0f\" height=\"%.0f\" fill=\"#fff\"/>\n", width, height)
	p.text(10, 20, "start", title, "font-weight=\"bold\"")
	return p
}

func (p *picture) text(x, y float64, anchor, text, more string) {
	fmt.Fprintf(p, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" %s>%s</text>\n", x, y, anchor, more, escape(text))
}

func (p *picture) rule(x1, y1, x2, y2 float64) {
	fmt.Fprintf(p, "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"#ddd\"/>\n", x1, y1, x2, y2)
}

func (p *picture) box(x, y, width, height float64, color string) {
	fmt.Fprintf(p, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x, y, width, height, color)
}

// legend writes the names of series in a row, below the title.
func (p *picture) legend(names []string) {
	x := 10.0
	for i, name := range names {
		p.box(x, 32, 10, 10, colors()[i%len(colors())])
		p.text(x+14, 41, "start", name, "")
		x += 30 + 7*float64(len(name))
	}
}

func (p *picture) end() string {
	p.WriteString("</svg>\n")
	return p.String()
}

func escape(text string) string {
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(text)) // a strings.Builder takes everything
	return escaped.String()
}

// scale maps values to 0 to 1.
type scale struct {
	low, high float64
	log       bool
}

// newScale covers all values, from 0 unless it is logarithmic.
func newScale(values []float64, log bool) scale {
	s := scale{0, 0, log}
	least := math.Inf(1)
	for _, v := range values {
		if !math.IsNaN(v) {
			s.high, least = max(s.high, v), min(least, max(v, 1e-3))
		}
	}
	if s.high <= 0 {
		return scale{0, 1, false}
	}
	if log {
		s.low, s.high = math.Pow(10, math.Floor(math.Log10(least))), math.Pow(10, math.Ceil(math.Log10(s.high*1.0001)))
		return s
	}
	step := s.step()
	s.high = math.Ceil(s.high/step) * step
	return s
}

// step returns the distance of the marks of a linear scale: 1, 2 or 5 times a power of ten, for up to ten of them.
func (s scale) step() float64 {
	power := math.Pow(10, math.Floor(math.Log10(s.high/5)))
	for _, factor := range []float64{1, 2, 5} {
		if s.high/(factor*power) <= 8 {
			return factor * power
		}
	}
	return 10 * power
}

func (s scale) at(value float64) float64 {
	if s.log {
		return (math.Log10(max(value, s.low)) - math.Log10(s.low)) / (math.Log10(s.high) - math.Log10(s.low))
	}
	return value / s.high
}

// marks returns the values at which the axis is marked.
func (s scale) marks() (marks []float64) {
	if s.log {
		for v := s.low; v <= s.high*1.001; v *= 10 {
			marks = append(marks, v)
		}
		return marks
	}
	for i := 0; float64(i)*s.step() <= s.high*1.001; i++ {
		marks = append(marks, float64(i)*s.step())
	}
	return marks
}

// mark returns how a value is written at an axis.
func mark(value float64) string {
	if value >= 1000 && value == math.Trunc(value) {
		return thousands(fmt.Sprintf("%.0f", value))
	}
	return fmt.Sprintf("%.4g", value)
}

// SVG draws the plot.
func (b Bars) SVG() string {
	const left, right, bar, gap, top = 110.0, 70.0, 13.0, 10.0, 54.0
	var all []float64
	for _, g := range b.Groups {
		all = append(all, g.Values...)
	}
	s, group := newScale(all, b.Log), bar*float64(len(b.Series))+gap
	bottom := top + group*float64(len(b.Groups))
	p := newPicture(b.Title, 760, bottom+30)
	if len(b.Series) > 1 {
		p.legend(b.Series)
	}
	for _, m := range s.marks() {
		x := left + s.at(m)*(p.width-left-right)
		p.rule(x, top, x, bottom)
		p.text(x, bottom+16, "middle", mark(m), "")
	}
	for i, g := range b.Groups {
		y := top + float64(i)*group + gap/2
		p.text(left-8, y+bar*float64(len(b.Series))/2+4, "end", g.Name, "")
		for j, value := range g.Values {
			width := 0.0
			if !math.IsNaN(value) {
				width = max(1, s.at(value)*(p.width-left-right))
				p.box(left, y+bar*float64(j), width, bar-2, colors()[j%len(colors())])
			}
			p.text(left+width+5, y+bar*float64(j)+bar-3, "start", Number(value), "font-size=\"11\"")
		}
	}
	return p.end()
}

// SVG draws the plot.
func (l Lines) SVG() string {
	const left, right, top, bottom = 70.0, 30.0, 60.0, 320.0
	var all []float64
	var names []string
	for _, line := range l.Lines {
		all, names = append(all, line.Values...), append(names, line.Name)
	}
	s := newScale(all, l.Log)
	p := newPicture(l.Title, 760, bottom+50)
	p.legend(names)
	x := func(i int) float64 {
		return left + (float64(i)+0.5)/float64(len(l.Steps))*(p.width-left-right)
	}
	for _, m := range s.marks() {
		y := bottom - s.at(m)*(bottom-top)
		p.rule(left, y, p.width-right, y)
		p.text(left-8, y+4, "end", mark(m), "")
	}
	for i, step := range l.Steps {
		p.text(x(i), bottom+18, "middle", step, "")
	}
	p.text((left+p.width-right)/2, bottom+38, "middle", l.Axis, "")
	for i, line := range l.Lines {
		p.line(line, colors()[i%len(colors())], x, func(v float64) float64 { return bottom - s.at(v)*(bottom-top) })
	}
	return p.end()
}

func (p *picture) line(line Line, color string, x func(int) float64, y func(float64) float64) {
	var path strings.Builder
	for i, value := range line.Values {
		if math.IsNaN(value) {
			continue
		}
		command := "L"
		if path.Len() == 0 {
			command = "M"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", command, x(i), y(value))
		fmt.Fprintf(p, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", x(i), y(value), color)
	}
	if path.Len() > 0 {
		fmt.Fprintf(p, "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", path.String(), color)
	}
}
