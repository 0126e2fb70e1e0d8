package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// once is the value of a flag that is refused where it is given twice and differs, in
// place of the first one being forgotten.
type once struct {
	pflag.Value
	hint  string
	given *string
}

// Set implements pflag.Value.
func (o *once) Set(s string) error {
	if o.given != nil && *o.given != s {
		return usage(o.hint, "it is given twice, as %q and as %q", *o.given, s)
	}
	o.given = &s
	return o.Value.Set(s)
}

// giveOnce has every command refuse its own flags where they are given twice. Those
// that all commands share may be repeated, so that an alias of the shell can have
// defaults of them, and so may switches and lists.
func giveOnce(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if _, list := f.Value.(pflag.SliceValue); list || f.NoOptDefVal != "" {
			return
		}
		hint := "give it once"
		if cmd.Name() == "explain" && f.Name == "method" {
			hint = "give it once; xai eval takes several methods and compares them"
		}
		f.Value = &once{Value: f.Value, hint: hint}
	})
	for _, c := range cmd.Commands() {
		giveOnce(c)
	}
}
