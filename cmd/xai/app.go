package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/builtin"
	"github.com/xai-go/xai/internal/nearest"
	"github.com/xai-go/xai/internal/words"
	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/registry"
)

// app is one run of the program: where it reads and writes, and the flags that
// all commands share.
type app struct {
	args           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string

	threads  int
	dtype    string
	memory   size
	timeout  time.Duration
	fuel     amount
	registry string
	locked   bool
	dev      bool
	noColour bool

	late func() // tells run that --timeout has passed

	mu        sync.Mutex
	progress  *bar            // on the terminal now; nil where there is none
	partial   map[string]bool // files that are being written
	abandoned bool            // no file may be begun any more
}

// execute parses the command line and runs its command.
func (a *app) execute(ctx context.Context) (err error) {
	defer recoverError(&err)
	root := a.root()
	root.SetArgs(a.args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	if cmd, rest, err := root.Find(a.args); err != nil {
		return unknownCommand(cmd, firstWord(rest))
	}
	started, cancel := false, func() {}
	defer func() { cancel() }()
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) {
		started = true
		ctx, cancel = a.deadline(ctx)
		cmd.SetContext(ctx)
	}
	err = root.ExecuteContext(ctx)
	if _, ok := errors.AsType[*core.Error](err); err != nil && !ok && !started { // cobra refused the command line
		return usage("see xai --help", "%s", err)
	}
	return err
}

// root builds the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "xai",
		Short: "Explain what a language model did",
		Long: `xai explains what a pre-trained language model did: which words pushed it to
its answer, and how far. It runs on this machine alone, with the models and the
methods it brings, or with yours.`,
		Example: examples(
			`xai explain "A gripping, beautifully shot film."`, "which words made it positive",
			`xai explain "质量太差了,再也不会买。"`, "Chinese works too",
			`xai explain -m ./my-bert -M lime "Some text."`, "your own model folder, any method",
			`xai methods list`, "what else can explain",
		),
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              cobra.ArbitraryArgs,
		RunE:              help,
		DisableAutoGenTag: true,
	}
	root.SetFlagErrorFunc(a.flagError)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	f := root.PersistentFlags()
	f.SortFlags = false
	f.Var(natural{&a.threads}, "threads", "threads to compute with; 0 uses all cores, the result is the same")
	f.Var(choice{&a.dtype, []string{"f32", "f64", "bf16", "int8"}}, "dtype", "number format: f32 (default); f64, the reference; bf16, weights in half the memory; int8, in a quarter, which is faster: an explanation then opens the model in f32 too and says how far it is from that")
	f.Var(&a.memory, "memory", "memory for the weights, the work of all forwards and what they return, for example 2GiB (default 4GiB)")
	f.Var(duration{&a.timeout}, "timeout", "give up after this long, for example 30s")
	f.Var(&a.fuel, "fuel", "instructions that a method in the sandbox may take, for example 20G (default: its limit in methods.toml)")
	f.Var(given{&a.registry}, "registry", "look for methods in this methods.toml `FILE` first")
	f.BoolVar(&a.locked, "locked", false, "run no method that is not what xai.lock says")
	f.BoolVar(&a.dev, "dev", false, "run modules of methods.toml as they lie on the disk, held to no hash and no grant, while you write them")
	f.BoolVar(&a.noColour, "no-color", false, "write without colours (NO_COLOR and CLICOLOR_FORCE are obeyed too)")
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "{{if .Runnable}}", "{{if and .Runnable (not .HasAvailableSubCommands)}}", 1))
	root.SetHelpCommand(helpCommand(root))
	root.AddCommand(a.explain(), a.eval(), a.predict(), a.activations(), a.tokenize(), a.methods(), a.models(), a.bench(), a.plugin(), a.verify(), a.doctor(), a.version())
	root.InitDefaultCompletionCmd(a.args...)
	for _, c := range root.Commands() {
		c.Flags().SortFlags = false
		if !c.Runnable() { // cobra's completion would not fail where a shell is unknown
			c.Args, c.RunE = cobra.ArbitraryArgs, help
		}
	}
	giveOnce(root)
	return root
}

// help is what a command that only groups others does by itself.
func help(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	return cmd.Help()
}

// helpCommand is the command help. That of cobra does not fail where there is
// no such command.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		Long:  "Help shows the help of a command, as its flag --help does.",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(cmd, firstWord(rest))
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// examples formats pairs of a command line and what it is for.
func examples(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "  # %s\n  %s\n", pairs[i+1], pairs[i])
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// beside is how much the heap may hold beside what has a bound of its own:
// vocabularies, compiled methods, and the text of results.
const beside = 256 << 20

// boundHeap has garbage collected before it outgrows what the budget of --memory
// and a method may take: by itself the collector lets as much of it lie as there is
// in use, and what a forward returns may fill the budget. With a limit below what is
// in use it would take up to half of the processor's time. GOMEMLIMIT takes
// precedence.
func (a *app) boundHeap(host *core.Host, entry registry.Entry) {
	if a.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(host.MemoryBound(entry) + beside)
	}
}

// policyFile takes the place of the machine's policy in builds for systems that
// keep it elsewhere; empty is where core looks.
var policyFile string

// host opens the host with what this binary embeds, and with the options that
// set changes.
func (a *app) host(set ...func(*core.Options)) (*core.Host, error) {
	o := core.Options{
		Models:     builtin.Models(),
		Methods:    core.Builtin(plugins.Builtin()),
		Registry:   a.registry,
		Locked:     a.locked,
		Dev:        a.dev,
		Ask:        a.ask(),
		PolicyFile: policyFile,
		Threads:    a.threads,
		DType:      a.dtype,
		Memory:     int64(a.memory),
	}
	for _, f := range set {
		f(&o)
	}
	host, err := core.New(o)
	if err == nil {
		a.boundHeap(host, registry.Entry{})
	}
	return host, err
}

// deadline bounds a command by --timeout, also where it cannot notice that its
// context is done.
func (a *app) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if a.timeout <= 0 {
		return ctx, func() {}
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			a.late()
		}
	})
	return ctx, cancel
}

// usage returns an error about the command line.
func usage(hint, format string, args ...any) error {
	return &core.Error{Kind: core.KindUsage, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// unknownCommand says that parent has no command of that name.
func unknownCommand(parent *cobra.Command, name string) error {
	var names []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	hint := "the commands are " + strings.Join(names, ", ")
	if near, ok := nearest.Of(name, names); ok {
		hint = fmt.Sprintf("did you mean %s %s?", parent.CommandPath(), near)
	} else if !parent.HasParent() && strings.ContainsAny(name, " .,") { // a text, not a command
		hint = fmt.Sprintf("to explain a text: xai explain %q", name)
	}
	return usage(hint, "%s has no command %q", parent.CommandPath(), name)
}

// firstWord returns the first argument that is not a flag.
func firstWord(args []string) string {
	for _, s := range args {
		if !strings.HasPrefix(s, "-") {
			return s
		}
	}
	return strings.Join(args, " ")
}

// flagError says what is wrong with a flag, and which one was meant.
func (a *app) flagError(cmd *cobra.Command, err error) error {
	if cmd.HasSubCommands() { // the flag of a mistyped command: the command is the mistake
		if i := slices.Index(a.args, cmd.Name()); i >= 0 && i+1 < len(a.args) && !strings.HasPrefix(a.args[i+1], "-") {
			return unknownCommand(cmd, a.args[i+1])
		}
	}
	see := "see " + cmd.CommandPath() + " --help"
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := e.GetSpecifiedName()
		if short := e.GetSpecifiedShortnames(); short != "" {
			return usage(see, "%s has no flag -%s", cmd.CommandPath(), short[:1])
		}
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near, ok := nearest.Of(name, names); ok {
			see = "did you mean --" + near + "? " + see
		}
		return usage(see, "%s has no flag --%s", cmd.CommandPath(), name)
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		if c, ok := errors.AsType[*core.Error](e.Unwrap()); ok {
			return usage(c.Hint, "--%s: %s", e.GetFlag().Name, c.Msg)
		}
		return usage(e.GetFlag().Usage, "--%s cannot be %q", e.GetFlag().Name, e.GetValue())
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return usage(e.GetFlag().Usage, "--%s needs a value", e.GetFlag().Name)
	}
	return usage(see, "%s", err)
}

// choice is the value of a flag that takes one of a few words.
type choice struct {
	value *string
	words []string
}

func (c choice) String() string { return *c.value }
func (c choice) Type() string   { return strings.Join(c.words, "|") }
func (c choice) Set(s string) error {
	if !slices.Contains(c.words, s) {
		hint := "use " + words.Or(c.words...)
		if near, ok := nearest.Of(s, c.words); ok {
			hint = "did you mean " + near + "? " + hint
		}
		return usage(hint, "unknown value %q", s)
	}
	*c.value = s
	return nil
}

// natural is the value of a flag that counts something.
type natural struct{ value *int }

func (n natural) String() string { return strconv.Itoa(*n.value) }
func (n natural) Type() string   { return "N" }
func (n natural) Set(s string) error {
	v, err := strconv.Atoi(s)
	if err != nil || v < 0 {
		return usage("use a whole number that is not negative", "%q is not a count", s)
	}
	*n.value = v
	return nil
}

// seed is the value of a flag that seeds what is drawn at random.
type seed struct{ value *uint64 }

func (n seed) String() string { return strconv.FormatUint(*n.value, 10) }
func (n seed) Type() string   { return "N" }
func (n seed) Set(s string) error {
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return usage("use a whole number from 0 to 18446744073709551615", "%q is no seed", s)
	}
	*n.value = v
	return nil
}

// number is the value of a flag that takes a number between two others.
type number struct {
	value     *float64
	low, high float64
}

func (n number) String() string { return strconv.FormatFloat(*n.value, 'g', -1, 64) }
func (n number) Type() string   { return "X" }
func (n number) Set(s string) error {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= n.low && v <= n.high) {
		return usage(fmt.Sprintf("use a number from %g to %g", n.low, n.high), "%q is no such number", s)
	}
	*n.value = v
	return nil
}

// filename is the value of a flag that names a file to write.
type filename struct{ value *string }

func (f filename) String() string { return *f.value }
func (f filename) Type() string   { return "FILE" }
func (f filename) Set(s string) error {
	if s == "" {
		return usage("name a file, or - for standard output", "the name is empty")
	}
	*f.value = s
	return nil
}

// given is the value of a flag that names a file to read.
type given struct{ value *string }

func (n given) String() string { return *n.value }
func (n given) Type() string   { return "FILE" }
func (n given) Set(s string) error {
	if s == "" {
		return usage("name a file, or leave the flag out", "the name is empty")
	}
	*n.value = s
	return nil
}

// duration is the value of a flag that takes a length of time.
type duration struct{ value *time.Duration }

func (d duration) String() string {
	if *d.value == 0 {
		return ""
	}
	return d.value.String()
}
func (d duration) Type() string { return "TIME" }
func (d duration) Set(s string) error {
	v, err := time.ParseDuration(s)
	if err != nil || v <= 0 {
		return usage("use a number and a unit, for example 500ms, 30s or 2m", "%q is not a length of time", s)
	}
	*d.value = v
	return nil
}

// size is the value of a flag that takes a number of bytes.
type size int64

func (n *size) String() string {
	if *n == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*n), 10)
}
func (n *size) Type() string { return "SIZE" }
func (n *size) Set(s string) error {
	units := []struct {
		suffix string
		bytes  float64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1}}
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if v *= u.bytes; err == nil && v >= 1 && v < math.MaxInt64 {
			*n = size(v)
			return nil
		}
		break
	}
	return usage("use a number and a unit, for example 512MiB or 2GiB", "%q is not a size", s)
}

// amount is the value of a flag that takes a whole number with a unit.
type amount int64

func (n *amount) String() string {
	if *n == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*n), 10)
}
func (n *amount) Type() string { return "N" }
func (n *amount) Set(s string) error {
	digits, factor := s, int64(1)
	for _, u := range []struct {
		suffix string
		factor int64
	}{{"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}} {
		if d, ok := strings.CutSuffix(s, u.suffix); ok {
			digits, factor = d, u.factor
			break
		}
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || v < 1 || v > math.MaxInt64/factor {
		return usage("use a whole number, with k, M, G or T behind it where it is large, for example 20G", "%q is not an amount", s)
	}
	*n = amount(v * factor)
	return nil
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("see "+cmd.CommandPath()+" --help", "%s takes no argument, and was given %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// oneArg demands the argument that name stands for.
func oneArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return usage(fmt.Sprintf("see %s --help", cmd.CommandPath()), "%s needs %s", cmd.CommandPath(), name)
		case len(args) > 1:
			return usage(fmt.Sprintf("see %s --help", cmd.CommandPath()), "%s takes one argument, and was given %d", cmd.CommandPath(), len(args))
		}
		return nil
	}
}

// write writes to standard output what f lays out, or nothing where f fails.
func (a *app) write(f func(io.Writer) error) error {
	var b bytes.Buffer
	if err := f(&b); err != nil {
		return err
	}
	a.clearProgress()
	return a.print(b.String())
}

// print writes to standard output.
func (a *app) print(s string) error {
	_, err := io.WriteString(standard{a.stdout}, s)
	return err
}

// standard is standard output, with errors that name it. That nobody reads any
// more stays what it is.
type standard struct{ io.Writer }

func (s standard) Write(p []byte) (int, error) {
	n, err := s.Writer.Write(p)
	if err != nil && !readerGone(err) {
		err = fileError(err, "cannot write", "standard output")
	}
	return n, err
}
