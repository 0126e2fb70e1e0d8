package wasm

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPoll holds that whatever is waited for has come.
func TestPoll(t *testing.T) {
	const in, out, size = 0, 8192, 65000
	subscription := func(kind byte, file uint32, flags uint16) []byte {
		s := append([]byte("somebody"), make([]byte, subscriptionSize-8)...)
		s[8] = kind
		binary.LittleEndian.PutUint32(s[16:], file)
		binary.LittleEndian.PutUint16(s[40:], flags)
		return s
	}
	event := func(code, kind byte) []byte {
		e := append([]byte("somebody"), make([]byte, eventSize-8)...)
		e[8], e[10] = code, kind
		return e
	}
	for name, c := range map[string]struct {
		subscription []byte
		code         uint32
		want         []byte
	}{
		"clock":            {subscription(eventClock, 1, 0), 0, event(0, eventClock)},
		"time of day":      {subscription(eventClock, 1, 1), wasiUnsupported, nil},
		"unknown flag":     {subscription(eventClock, 1, 0x100), wasiInvalid, nil},
		"read":             {subscription(eventFDRead, 0, 0), 0, event(0, eventFDRead)},
		"read of no file":  {subscription(eventFDRead, 3, 0), 0, event(wasiBadFile, eventFDRead)},
		"read of -1":       {subscription(eventFDRead, 1<<32-1, 0), 0, event(wasiBadFile, eventFDRead)},
		"write":            {subscription(eventFDWrite, 2, 0), 0, event(wasiUnsupported, eventFDWrite)},
		"write to no file": {subscription(eventFDWrite, 256, 0), 0, event(wasiBadFile, eventFDWrite)},
		"unknown":          {subscription(3, 0, 0), wasiInvalid, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, &asked{}, hostRequest(), hostInfo, Limits{})
			g.put(in, append(subscription(eventClock, 0, 0), c.subscription...))
			if code := pollAtOnce(g.mem, []uint64{in, out, 2, size}); code != c.code {
				t.Fatalf("got %d, want %d", code, c.code)
			}
			if c.want == nil {
				return
			}
			if diff := cmp.Diff(append(event(0, eventClock), c.want...), g.get(out, 2*eventSize)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]byte{2, 0, 0, 0}, g.get(size, 4)); diff != "" {
				t.Error(diff)
			}
		})
	}
	g := newGuest(t, &asked{}, hostRequest(), hostInfo, Limits{})
	for name, c := range map[string]struct {
		args []uint64
		want uint32
	}{
		"none":              {[]uint64{in, out, 0, size}, wasiInvalid},
		"many":              {[]uint64{in, out, maxEvents + 1, size}, wasiInvalid},
		"a product of 0":    {[]uint64{in, out, 1 << 28, size}, wasiInvalid},
		"from outside":      {[]uint64{1<<16 - 40, out, 1, size}, wasiFault},
		"to outside":        {[]uint64{in, 1<<32 - 16, 1, size}, wasiFault},
		"the size outside":  {[]uint64{in, out, 1, 1<<16 - 3}, wasiFault},
		"to where they are": {[]uint64{in, in, maxEvents, size}, 0},
	} {
		if code := pollAtOnce(g.mem, c.args); code != c.want {
			t.Errorf("%s: got %d, want %d", name, code, c.want)
		}
	}
	if code := readNothing(g.mem, []uint64{1, 0, 0, 0}); code != wasiBadFile {
		t.Errorf("standard output is read: %d", code)
	}
	if code := readNothing(g.mem, []uint64{0, 0, 0, 1<<16 - 3}); code != wasiFault {
		t.Errorf("the size is written outside: %d", code)
	}
}
