// Package signature signs modules and verifies who signed them: ed25519 keys
// and detached signatures in the files of minisign, so that its command line
// serves as well.
//
// A signature says who published these bytes. It says nothing of what they do:
// a signed method runs in the same sandbox and asks for the same grants.
package signature

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"

	"aead.dev/minisign"
)

// Suffix is what the name of a signature's file adds to that of the module.
const Suffix = ".minisig"

// MaxSize bounds the file of a signature or a key, in bytes.
const MaxSize = 4 << 10

// maxMessage bounds what is held in memory to verify a signature of the older
// form, which is over the bytes themselves instead of over their digest.
const maxMessage = 32 << 20

// scheme is what a declared key begins with.
const scheme = "ed25519:"

// Error reports a signature that is missing, malformed or by somebody else.
type Error struct {
	Msg string // one sentence
	Err error  // the cause, where there is one
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Msg }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrPassword is the cause of an *Error about a private key that is encrypted,
// where the password is missing or wrong.
var ErrPassword = errors.New("the password is missing or wrong")

// PublicKey verifies signatures.
type PublicKey struct{ key minisign.PublicKey }

// keyPattern is the Base64 of a minisign key: the letters Ed, its number and
// the key.
var keyPattern = regexp.MustCompile(`^RW[A-Za-z0-9+/]{54}$`)

// ParsePublicKey reads a key as methods.toml declares it, "ed25519:RWQ…". There
// is one way to write a key, so that equal keys are equal strings.
func ParsePublicKey(s string) (PublicKey, error) {
	text, ok := strings.CutPrefix(s, scheme)
	var k PublicKey
	if !ok || !keyPattern.MatchString(text) || k.key.UnmarshalText([]byte(text)) != nil || k.key.String() != text {
		return PublicKey{}, &Error{Msg: "a key is " + scheme + " and the 56 characters of a minisign public key, which begin with RW"}
	}
	return k, nil
}

// String returns the key as methods.toml declares it.
func (k PublicKey) String() string { return scheme + k.key.String() }

// ID returns the number of the key, 16 hexadecimal digits. It tells keys apart
// and proves nothing.
func (k PublicKey) ID() string { return fmt.Sprintf("%016X", k.key.ID()) }

// File returns the key as a minisign.pub.
func (k PublicKey) File() []byte {
	text, _ := k.key.MarshalText() // it never fails
	return append(text, '\n')
}

// PrivateKey signs.
type PrivateKey struct{ key minisign.PrivateKey }

// Generate draws a key.
func Generate() (PrivateKey, error) {
	_, key, err := minisign.GenerateKey(rand.Reader)
	return PrivateKey{key}, err
}

// ParsePrivateKey reads a minisign.key. The password is that of the file, empty
// where it has none. Reading an encrypted one takes a second and a gigabyte, so
// that guessing passwords is dear.
func ParsePrivateKey(data []byte, password string) (PrivateKey, error) {
	if len(data) > MaxSize {
		return PrivateKey{}, &Error{Msg: fmt.Sprintf("the private key has more than %d bytes; name the file that minisign wrote", MaxSize)}
	}
	data = bytes.TrimSpace(data)
	if !minisign.IsEncrypted(data) {
		var k PrivateKey
		if err := k.key.UnmarshalText(data); err != nil {
			return PrivateKey{}, &Error{Msg: "this is no private key of minisign", Err: err}
		}
		return k, nil
	}
	if password == "" {
		return PrivateKey{}, &Error{Msg: "the private key is encrypted; give its password", Err: ErrPassword}
	}
	key, err := minisign.DecryptKey(password, data)
	if err != nil {
		return PrivateKey{}, &Error{Msg: "the private key cannot be decrypted; check the password", Err: errors.Join(ErrPassword, err)}
	}
	return PrivateKey{key}, nil
}

// Marshal returns the key as a minisign.key, encrypted where there is a
// password.
func (k PrivateKey) Marshal(password string) ([]byte, error) {
	var text []byte
	var err error
	if password == "" {
		text, err = k.key.MarshalText()
	} else {
		text, err = minisign.EncryptKey(password, k.key)
	}
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

// Public returns the key that verifies.
func (k PrivateKey) Public() PublicKey {
	return PublicKey{k.key.Public().(minisign.PublicKey)}
}

// Sign signs what r holds. The comment, one line, is signed as well.
func (k PrivateKey) Sign(r io.Reader, comment string) ([]byte, error) {
	if strings.ContainsFunc(comment, unicode.IsControl) || len(comment) > MaxSize/2 {
		return nil, &Error{Msg: fmt.Sprintf("the comment of a signature is one line of at most %d bytes", MaxSize/2)}
	}
	message := minisign.NewReader(r)
	if _, err := io.Copy(io.Discard, message); err != nil {
		return nil, err
	}
	return message.SignWithComments(k.key, comment, "signature by the key "+k.Public().ID()), nil
}

// Verify holds that the signature, the content of a .minisig file, is one of
// what r holds by the key. It returns an *Error where it is not, and the error
// of r where that cannot be read.
func Verify(k PublicKey, r io.Reader, signature []byte) error {
	if len(signature) > MaxSize {
		return &Error{Msg: fmt.Sprintf("the signature has more than %d bytes, so it is none", MaxSize)}
	}
	var s minisign.Signature
	if err := s.UnmarshalText(signature); err != nil {
		return &Error{Msg: "the signature is no file of minisign's", Err: err}
	}
	if s.KeyID != k.key.ID() {
		return &Error{Msg: fmt.Sprintf("the signature is by the key %016X and should be by %s", s.KeyID, k.ID())}
	}
	var ok bool
	if s.Algorithm == minisign.HashEdDSA {
		message := minisign.NewReader(r)
		if _, err := io.Copy(io.Discard, message); err != nil {
			return err
		}
		ok = message.Verify(k.key, signature)
	} else {
		message, err := io.ReadAll(io.LimitReader(r, maxMessage+1))
		if err != nil {
			return err
		}
		if len(message) > maxMessage {
			return &Error{Msg: "the signature is of minisign's older form, which serves for small files alone; sign again without -l"}
		}
		ok = minisign.Verify(k.key, message, signature)
	}
	if !ok {
		return &Error{Msg: "the signature does not fit the bytes; either of them was changed, or somebody else signed"}
	}
	return nil
}
