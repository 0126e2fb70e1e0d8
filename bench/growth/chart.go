package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// chart is a plot with two logarithmic axes.
type chart struct {
	title, note, x, y string
	series            []series
}

// series is a line through points.
type series struct {
	name string
	x, y []float64
}

// colours are safe for the colour-blind (Okabe and Ito).
var colours = []string{"#0072b2", "#d55e00", "#009e73"}

const (
	width, height            = 640, 400
	left, right, top, bottom = 70, 20, 60, 50
)

// svg draws the chart. A line of slope one grows as fast as its argument.
func (c chart) svg() string {
	x0, x1, y0, y1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, s := range c.series {
		for i := range s.x {
			x0, x1 = min(x0, s.x[i]), max(x1, s.x[i])
			y0, y1 = min(y0, s.y[i]), max(y1, s.y[i])
		}
	}
	y0, y1 = math.Pow(10, math.Floor(math.Log10(y0))), math.Pow(10, math.Ceil(math.Log10(y1)))
	at := func(x, y float64) (float64, float64) {
		return left + (width-left-right)*math.Log(x/x0)/math.Log(x1/x0),
			height - bottom - (height-top-bottom)*math.Log(y/y0)/math.Log(y1/y0)
	}
	var b strings.Builder
	text := func(x, y float64, anchor, format string, args ...any) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<g font-size="16">`)
	text(left, 22, "start", "%s", c.title)
	fmt.Fprintf(&b, `</g>`)
	text(left, 40, "start", "%s", c.note)
	for y := y0; y <= y1*1.001; y *= 10 {
		_, py := at(x0, y)
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/>`+"\n", left, py, width-right)
		text(left-6, py+4, "end", "%g", y)
	}
	for _, x := range c.series[0].x {
		px, _ := at(x, y0)
		text(px, height-bottom+18, "middle", "%g", x)
	}
	text((left+width-right)/2, height-12, "middle", "%s", c.x)
	fmt.Fprintf(&b, `<g transform="translate(16 %d) rotate(-90)">`, (top+height-bottom)/2)
	text(0, 0, "middle", "%s", c.y)
	fmt.Fprintf(&b, "</g>\n")
	for k, s := range c.series {
		var path strings.Builder
		for i := range s.x {
			px, py := at(s.x[i], s.y[i])
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], px, py)
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%g %s: %.4g %s</title></circle>`+"\n", px, py, colours[k], s.x[i], c.x, s.y[i], c.y)
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path.String(), colours[k])
		fmt.Fprintf(&b, `<g fill="%s">`, colours[k])
		text(left+12, float64(top+16+18*k), "start", "%s", s.name)
		fmt.Fprintf(&b, "</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}
