package signature

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"aead.dev/minisign"
	"pgregory.net/rapid"
)

// The files of testdata come from the command line of minisign 0.11:
// reference.old.minisig is of its older form (-l).
func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func generate(t *testing.T) PrivateKey {
	t.Helper()
	k, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// refused holds that the error is an *Error with the sentence.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || !strings.Contains(e.Error(), want) {
		t.Errorf("error = %T %v, want %q", err, err, want)
	}
}

// TestReference verifies a signature that another implementation made.
func TestReference(t *testing.T) {
	k, err := ParsePublicKey("ed25519:" + strings.TrimSpace(string(read(t, "reference.key"))))
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, "reference.txt")
	for _, name := range []string{"reference.minisig", "reference.old.minisig"} {
		if err := Verify(k, bytes.NewReader(text), read(t, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		refused(t, Verify(k, strings.NewReader("other bytes"), read(t, name)), "does not fit the bytes")
	}
}

func TestSignAndVerify(t *testing.T) {
	k, other := generate(t), generate(t)
	module := []byte("\x00asm and more")
	sig, err := k.Sign(bytes.NewReader(module), "a method")
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify(k.Public(), bytes.NewReader(module), sig); err != nil {
		t.Error(err)
	}
	public, err := ParsePublicKey(k.Public().String())
	if err != nil || public.ID() != k.Public().ID() {
		t.Errorf("ParsePublicKey(%s) = %v, %v", k.Public(), public, err)
	}
	if !strings.Contains(string(k.Public().File()), public.ID()) {
		t.Errorf("File() = %q lacks the number of the key", k.Public().File())
	}

	old := minisign.Sign(k.key, module)
	forged := bytes.Replace(sig, []byte("a method"), []byte("b method"), 1)
	flipped := bytes.Clone(sig)
	flipped[bytes.IndexByte(flipped, '\n')+30] ^= 1
	for _, c := range []struct {
		name      string
		key       PublicKey
		module    io.Reader
		signature []byte
		want      string
	}{
		{"other bytes", k.Public(), strings.NewReader("x"), sig, "does not fit the bytes"},
		{"other bytes, older form", k.Public(), strings.NewReader("x"), old, "does not fit the bytes"},
		{"other key", other.Public(), bytes.NewReader(module), sig, "is by the key " + k.Public().ID() + " and should be by " + other.Public().ID()},
		{"other comment", k.Public(), bytes.NewReader(module), forged, "does not fit the bytes"},
		{"changed signature", k.Public(), bytes.NewReader(module), flipped, ""},
		{"empty", k.Public(), bytes.NewReader(module), nil, "no file of minisign's"},
		{"not Base64", k.Public(), bytes.NewReader(module), []byte("untrusted comment: \n\x1b[2J\ntrusted comment: \nx"), "no file of minisign's"},
		{"huge", k.Public(), bytes.NewReader(module), make([]byte, MaxSize+1), "more than 4096 bytes"},
		{"older form of a large file", k.Public(), io.LimitReader(zeros{}, maxMessage+1), old, "sign again without -l"},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, Verify(c.key, c.module, c.signature), c.want) })
	}
	t.Run("unreadable", func(t *testing.T) {
		broken := errors.New("broken")
		if err := Verify(k.Public(), iotest.ErrReader(broken), sig); !errors.Is(err, broken) {
			t.Errorf("Verify = %v", err)
		}
		if _, err := k.Sign(iotest.ErrReader(broken), ""); !errors.Is(err, broken) {
			t.Errorf("Sign = %v", err)
		}
	})
	t.Run("a comment of two lines", func(t *testing.T) {
		_, err := k.Sign(bytes.NewReader(module), "a\nb")
		refused(t, err, "one line")
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestPrivateKey(t *testing.T) {
	k := generate(t)
	plain, err := k.Marshal("")
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParsePrivateKey(plain, "")
	if err != nil || again.Public().String() != k.Public().String() {
		t.Errorf("ParsePrivateKey = %v, %v", again.Public(), err)
	}
	for _, c := range []struct {
		name, data, want string
	}{
		{"empty", "", "no private key"},
		{"a public key", string(k.Public().File()), "no private key"},
		{"huge", strings.Repeat("x", MaxSize+1), "more than 4096 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParsePrivateKey([]byte(c.data), "")
			refused(t, err, c.want)
		})
	}
	// It is encrypted at a cost that a test can pay.
	t.Run("encrypted", func(t *testing.T) {
		_, err := ParsePrivateKey(read(t, "encrypted.key"), "")
		refused(t, err, "give its password")
		k, err := ParsePrivateKey(read(t, "encrypted.key"), "pw")
		if err != nil || k.Public().ID() != "11099E5CC27AC24F" {
			t.Errorf("ParsePrivateKey = %v, %v", k.Public(), err)
		}
		_, err = ParsePrivateKey(read(t, "encrypted.key"), "wrong")
		refused(t, err, "check the password")
	})
}

func TestParsePublicKey(t *testing.T) {
	k := generate(t).Public().String()
	for name, s := range map[string]string{
		"empty": "", "no scheme": strings.TrimPrefix(k, scheme), "short": k[:len(k)-1], "long": k + "A",
		"another scheme": "rsa:" + strings.TrimPrefix(k, scheme), "a line break": k[:20] + "\n" + k[21:],
		"another algorithm": scheme + "RX" + k[len(scheme)+2:], "padded": k[:len(k)-1] + "=",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParsePublicKey(s)
			refused(t, err, "a key is ed25519:")
		})
	}
}

// TestKeysReadBack holds that a key has one text.
func TestKeysReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := scheme + "RW" + rapid.StringMatching(`[A-Za-z0-9+/]{54}`).Draw(t, "key")
		if k, err := ParsePublicKey(s); err == nil && k.String() != s {
			t.Errorf("%s reads back as %s", s, k)
		}
	})
}

// FuzzVerify holds that no signature and no key make Verify panic, and that
// none fits but the right one.
func FuzzVerify(f *testing.F) {
	k, err := Generate()
	if err != nil {
		f.Fatal(err)
	}
	sig, err := k.Sign(strings.NewReader("module"), "x")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sig, k.Public().String())
	f.Add([]byte("untrusted comment: \nRUQ=\ntrusted comment: \nAA=="), "ed25519:RWQ")
	f.Add([]byte("\n\n\n"), "")
	f.Fuzz(func(t *testing.T, signature []byte, key string) {
		err := Verify(k.Public(), strings.NewReader("another module"), signature)
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("Verify = %v", err)
		}
		if p, err := ParsePublicKey(key); err == nil {
			_ = Verify(p, strings.NewReader("module"), signature)
		}
		_, _ = ParsePrivateKey(signature, "")
	})
}
