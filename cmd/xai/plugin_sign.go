package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/registry/signature"
)

// passwordVariable is the environment variable with the password of a private key,
// for where nobody can type it.
const passwordVariable = "XAI_KEY_PASSWORD"

func (a *app) pluginKeygen() *cobra.Command {
	var out, format string
	var bare bool
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Draw a key to sign methods with",
		Long: `Keygen draws a key for xai plugin sign: the private key, which is readable by you
alone, and the public key beside it, FILE.pub. Neither takes the place of a file that
is there. They are files of minisign. On a terminal it asks for a password to encrypt
the private key with; elsewhere $` + passwordVariable + ` has it, or the key is not
encrypted.`,
		Example: examples(
			"xai plugin keygen", "xai.key and xai.pub, here",
			"xai plugin keygen -o ~/.config/xai/me.key", "elsewhere",
		),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			public := strings.TrimSuffix(out, ".key") + ".pub"
			for _, path := range []string{out, public} {
				if _, err := os.Lstat(path); err == nil {
					return &core.Error{Kind: core.KindInput, Msg: path + " is there already, and a key is never overwritten", Hint: "name another file with -o"}
				}
			}
			password := ""
			if !bare {
				var err error
				if password, err = a.newPassword(cmd.Context()); err != nil {
					return err
				}
			}
			key, err := signature.Generate()
			if err != nil {
				return err
			}
			text, err := key.Marshal(password)
			if err != nil {
				return err
			}
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if err := writeKeys(out, text, public, key.Public().File()); err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				if format == "json" {
					return report.JSON(w, struct {
						Key       string `json:"key"`
						Public    string `json:"public"`
						Signer    string `json:"signer"`
						Encrypted bool   `json:"encrypted"`
					}{out, public, key.Public().String(), password != ""})
				}
				fmt.Fprintf(w, "%s is your private key: keep it to yourself.\n", report.Line(out))
				if password == "" {
					fmt.Fprintln(w, "  It has no password: whoever can read the file can sign as you.")
				}
				fmt.Fprintf(w, "%s is the public one: publish it.\n  signer   %s\n", report.Line(public), key.Public())
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.VarP(filename{&out}, "out-file", "o", "write the private key to this `FILE` (default: xai.key)")
	out = "xai.key"
	f.BoolVar(&bare, "no-password", false, "do not encrypt the private key")
	f.Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	return cmd
}

// writeKeys writes both keys or none, over nothing that is there.
func writeKeys(path string, text []byte, public string, publicText []byte) error {
	if err := writeNew(path, text, 0o600); err != nil {
		return err
	}
	if err := writeNew(public, publicText, 0o644); err != nil {
		os.Remove(path)
		return err
	}
	return nil
}

// writeNew writes a file that is not there yet, whole or not at all.
func writeNew(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fileError(err, "cannot write", path)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
		return fileError(err, "cannot write", path)
	}
	return nil
}

func (a *app) pluginSign() *cobra.Command {
	var key, out, comment, format string
	cmd := &cobra.Command{
		Use:   "sign FILE",
		Short: "Sign a module or an executable",
		Long: `Sign writes FILE.minisig, the signature of FILE by a private key, which minisign
verifies as well. It says who published these bytes. Put it beside the file, and the
signer that it prints into the methods.toml. The password of the key is asked for on a
terminal, and elsewhere that of $` + passwordVariable + `.`,
		Example: examples(
			"xai plugin sign shapely-ish.wasm --key xai.key", "shapely-ish.wasm.minisig",
			passwordVariable+"=… xai plugin sign shapely-ish.wasm --key xai.key", "in a script",
		),
		Args: oneArg("a module or an executable"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if key == "" {
				return usage("xai plugin keygen draws one", "xai plugin sign needs a private key: --key")
			}
			target, err := a.openOutput(cmp.Or(out, args[0]+signature.Suffix))
			if err != nil {
				return err
			}
			private, err := a.readKey(cmd.Context(), key)
			if err != nil {
				return err
			}
			data, err := readRegular(args[0], registry.MaxExecutable)
			if err != nil {
				return err
			}
			sig, err := private.Sign(bytes.NewReader(data), cmp.Or(comment, "file:"+filepath.Base(args[0])))
			if err != nil {
				return usage("give a shorter one, of one line, with --comment", "%s", err)
			}
			err = target.write(cmd.Context(), a, func(w io.Writer) error {
				_, err := w.Write(sig)
				return err
			})
			if err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				if format == "json" {
					return report.JSON(w, struct {
						File      string `json:"file"`
						Signature string `json:"signature"`
						Signer    string `json:"signer"`
					}{args[0], target.name, private.Public().String()})
				}
				fmt.Fprintf(w, "%s is the signature of %s.\n  signer   %s\n", report.Line(target.name), report.Line(args[0]), private.Public())
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&key, "key", "", "sign with the private key of this `FILE`")
	f.VarP(filename{&out}, "out-file", "o", "write the signature to this `FILE` (default: FILE.minisig)")
	f.StringVar(&comment, "comment", "", "a `TEXT` of one line that is signed as well (default: the name of the file)")
	f.Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	files := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveDefault
	}
	cmd.RegisterFlagCompletionFunc("key", files)
	cmd.ValidArgsFunction = files
	return cmd
}

// readKey reads a private key, and asks for its password where it has one.
func (a *app) readKey(ctx context.Context, path string) (signature.PrivateKey, error) {
	text, err := readRegular(path, signature.MaxSize)
	if err != nil {
		return signature.PrivateKey{}, err
	}
	key, err := signature.ParsePrivateKey(text, a.getenv(passwordVariable))
	if errors.Is(err, signature.ErrPassword) && a.getenv(passwordVariable) == "" && a.terminalInput() != nil {
		var password string
		if password, err = a.password(ctx, "Password of "+path+":"); err != nil {
			return key, err
		}
		key, err = signature.ParsePrivateKey(text, password)
	}
	if err != nil {
		hint := "name the file that xai plugin keygen or minisign wrote"
		if errors.Is(err, signature.ErrPassword) {
			hint = "set $" + passwordVariable + ", or run it on a terminal"
		}
		return key, &core.Error{Kind: core.KindInput, Msg: path + ": " + err.Error(), Hint: hint, Err: err}
	}
	return key, nil
}

// readRegular reads a regular file of at most most bytes.
func readRegular(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err != nil {
		return nil, fileError(err, "cannot read", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(err, "cannot read", path)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("it has more than %d bytes", most)
	}
	if err != nil {
		return nil, fileError(err, "cannot read", path)
	}
	return data, nil
}

// newPassword returns the password for a new key: that of the environment, or what
// is typed twice on a terminal; empty where there is neither.
func (a *app) newPassword(ctx context.Context) (string, error) {
	if p := a.getenv(passwordVariable); p != "" || a.terminalInput() == nil {
		return p, nil
	}
	first, err := a.password(ctx, "Password for the private key, empty for none:")
	if err != nil || first == "" {
		return "", err
	}
	again, err := a.password(ctx, "The same again:")
	if err == nil && again != first {
		err = usage("run it again", "the two passwords are not the same")
	}
	return first, err
}

// password reads a password from the terminal, which does not show it.
func (a *app) password(ctx context.Context, prompt string) (string, error) {
	in := a.terminalInput()
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return "", err
	}
	fmt.Fprint(a.stderr, report.Line(prompt)+" ")
	type typed struct {
		text []byte
		err  error
	}
	answer := make(chan typed, 1)
	go func() { // a read cannot be interrupted; the program ends with it
		text, err := term.ReadPassword(int(in.Fd()))
		answer <- typed{text, err}
	}()
	defer fmt.Fprintln(a.stderr)
	select {
	case t := <-answer:
		if errors.Is(t.err, io.EOF) {
			t.err = nil
		}
		return string(t.text), t.err
	case <-ctx.Done():
		_ = term.Restore(int(in.Fd()), before) // it shows again what is typed
		return "", ctx.Err()
	}
}
