package report

import (
	"fmt"
	"math"
	"strings"
)

// Level is how many colours a terminal shows.
type Level int

// The levels of colour.
const (
	NoColour Level = iota
	Colour16
	Colour256
	TrueColour
)

// DetectLevel returns the level that the environment asks for, where terminal
// says whether the output is one. NO_COLOR turns colours off (no-color.org),
// CLICOLOR_FORCE turns them on for pipes too, COLORTERM and TERM say how many
// there are.
func DetectLevel(getenv func(string) string, terminal bool) Level {
	if getenv("NO_COLOR") != "" {
		return NoColour
	}
	term, colorterm := getenv("TERM"), getenv("COLORTERM")
	if force := getenv("CLICOLOR_FORCE"); force == "" || force == "0" {
		if !terminal || term == "dumb" || getenv("CLICOLOR") == "0" {
			return NoColour
		}
	}
	switch {
	case colorterm == "truecolor", colorterm == "24bit",
		strings.Contains(term, "direct"), strings.Contains(term, "truecolor"),
		getenv("WT_SESSION") != "": // Windows Terminal sets neither
		return TrueColour
	case strings.Contains(term, "256"):
		return Colour256
	}
	return Colour16
}

// rgb is a colour in sRGB.
type rgb [3]uint8

// The palette diverges from grey to a blue and an orange that people with any
// of the common colour blindnesses tell apart, and that stand out on a dark
// background and on a light one. Negative text is underlined as well.
var (
	neutral  = rgb{0x8a, 0x8f, 0x96}
	negative = rgb{0x0a, 0x72, 0xc8}
	positive = rgb{0xee, 0x8a, 0x00}
	black    = rgb{0, 0, 0}
	white    = rgb{255, 255, 255}
)

// faint is the share of the largest score below which text stays unmarked.
const faint = 0.05

// shade returns the colour of v in [-1, 1]. The faintest has some hue already.
func shade(v float64) rgb {
	end, t := positive, 0.2+0.8*math.Min(math.Abs(v), 1)
	if v < 0 {
		end = negative
	}
	var c rgb
	for i := range c {
		c[i] = uint8(math.Round(float64(neutral[i]) + t*(float64(end[i])-float64(neutral[i]))))
	}
	return c
}

// luminance is the relative luminance of WCAG 2.
func (c rgb) luminance() float64 {
	linear := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c[0]) + 0.7152*linear(c[1]) + 0.0722*linear(c[2])
}

// contrast is the contrast ratio of WCAG 2, in [1, 21].
func contrast(a, b rgb) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// ink returns black or white, whichever is easier to read on c.
func (c rgb) ink() rgb {
	if contrast(black, c) >= contrast(white, c) {
		return black
	}
	return white
}

// index256 returns the nearest colour of the 6×6×6 cube and the grey ramp of
// the 256-colour palette, and its number.
func (c rgb) index256() (int, rgb) {
	best, at, bestDistance := 16, black, math.MaxInt
	for i := 16; i < 256; i++ {
		p := palette256(i)
		d := 0
		for k := range p {
			x := int(p[k]) - int(c[k])
			d += x * x
		}
		if d < bestDistance {
			best, at, bestDistance = i, p, d
		}
	}
	return best, at
}

// palette256 returns colour i ≥ 16 of xterm's palette.
func palette256(i int) rgb {
	if i >= 232 {
		v := uint8(8 + 10*(i-232))
		return rgb{v, v, v}
	}
	step := [...]uint8{0, 95, 135, 175, 215, 255}
	i -= 16
	return rgb{step[i/36], step[i/6%6], step[i%6]}
}

const reset = "\x1b[0m"

// block returns the escape sequence that opens text with score v in [-1, 1] on
// a coloured background; reset closes it. It is empty where the text is to
// stay as it is.
func (l Level) block(v float64) string {
	if l == NoColour || math.IsNaN(v) || math.Abs(v) < faint {
		return ""
	}
	underline := ""
	if v < 0 {
		underline = ";4"
	}
	back := shade(v)
	switch l {
	case TrueColour:
		ink := back.ink()
		return fmt.Sprintf("\x1b[38;2;%d;%d;%d;48;2;%d;%d;%d%sm", ink[0], ink[1], ink[2], back[0], back[1], back[2], underline)
	case Colour256:
		n, back := back.index256()
		ink := 16
		if back.ink() == white {
			ink = 231
		}
		return fmt.Sprintf("\x1b[38;5;%d;48;5;%d%sm", ink, n, underline)
	}
	switch weak := math.Abs(v) < 0.5; { // the 16 colours are the user's own: two steps are what they can tell
	case v > 0 && weak:
		return "\x1b[33m"
	case v > 0:
		return "\x1b[30;43m"
	case weak:
		return "\x1b[36;4m"
	}
	return "\x1b[97;44;4m"
}

// stroke returns s in the full colour of the sign of v, for bars.
func (l Level) stroke(v float64, s string) string {
	c := shade(math.Copysign(1, v))
	switch {
	case l == NoColour || s == "" || math.IsNaN(v):
		return s
	case l == TrueColour:
		return fmt.Sprintf("\x1b[38;2;%d;%d;%dm%s%s", c[0], c[1], c[2], s, reset)
	case l == Colour256:
		n, _ := c.index256()
		return fmt.Sprintf("\x1b[38;5;%dm%s%s", n, s, reset)
	case v < 0:
		return "\x1b[34m" + s + reset
	}
	return "\x1b[33m" + s + reset
}

// Bold returns s emphasised.
func (l Level) Bold(s string) string { return l.wrap("\x1b[1m", s) }

// Dim returns s de-emphasised.
func (l Level) Dim(s string) string { return l.wrap("\x1b[2m", s) }

func (l Level) wrap(open, s string) string {
	if l == NoColour || s == "" {
		return s
	}
	return open + s + reset
}
