package main

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"fmt"
	"io"
	"runtime"
	"slices"
)

// executable is what a file says of itself as the executable of a method that
// runs as a process.
type executable struct {
	Format      string   `json:"format"`      // "ELF", "Mach-O", "PE" or "script"
	OS          string   `json:"os"`          // as Go names it; empty where the file does not say
	Arch        string   `json:"arch"`        // as Go names it, or the format's own name
	Interpreter string   `json:"interpreter"` // of a script, or the loader of libraries that it asks for
	Static      bool     `json:"static"`      // it asks for no library and no interpreter
	Libraries   []string `json:"libraries"`
	Runs        bool     `json:"runs_here"` // it is for this system and processor
}

// maxInterpreter bounds what is shown of the name of an interpreter.
const maxInterpreter = 256

// maxLibraries bounds how many libraries of an executable are listed.
const maxLibraries = 100

// readExecutable reads the headers of an executable, and runs nothing of it. The
// packages that parse them are given what anybody may have written.
func readExecutable(r io.ReaderAt) (x *executable, err error) {
	defer func() {
		if v := recover(); v != nil {
			x, err = nil, fmt.Errorf("the headers are malformed: %v", v)
		}
	}()
	head := make([]byte, 4)
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, nil
	}
	switch {
	case bytes.Equal(head, []byte("\x7fELF")):
		x, err = readELF(r)
	case slices.ContainsFunc([]string{"\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe"}, func(m string) bool { return string(head) == m }):
		x, err = readMachO(r)
	case bytes.HasPrefix(head, []byte("MZ")):
		x, err = readPE(r)
	case bytes.HasPrefix(head, []byte("#!")):
		x, err = readScript(r)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the headers are malformed: %w", err)
	}
	x.Libraries = append([]string{}, x.Libraries[:min(len(x.Libraries), maxLibraries)]...)
	x.Static = len(x.Libraries) == 0 && x.Interpreter == ""
	x.Runs = x.OS == runtime.GOOS && x.Arch == runtime.GOARCH
	return x, nil
}

// readScript reads the line that names the interpreter of a script.
func readScript(r io.ReaderAt) (*executable, error) {
	line := make([]byte, maxInterpreter)
	n, err := r.ReadAt(line, 2)
	if err != nil && err != io.EOF {
		return nil, err
	}
	line, _, _ = bytes.Cut(line[:n], []byte("\n"))
	return &executable{Format: "script", Interpreter: string(bytes.ToValidUTF8(bytes.TrimSpace(line), nil))}, nil
}

func readELF(r io.ReaderAt) (*executable, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	x := &executable{Format: "ELF", Arch: named(f.Machine, map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm", elf.EM_RISCV: "riscv64"})}
	x.OS = map[elf.OSABI]string{elf.ELFOSABI_NONE: "linux", elf.ELFOSABI_LINUX: "linux", elf.ELFOSABI_FREEBSD: "freebsd", elf.ELFOSABI_OPENBSD: "openbsd", elf.ELFOSABI_NETBSD: "netbsd"}[f.OSABI]
	x.Libraries, _ = f.ImportedLibraries() // none where there is no dynamic section
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			name, err := io.ReadAll(io.LimitReader(p.Open(), maxInterpreter))
			if err != nil {
				return nil, err
			}
			x.Interpreter = string(bytes.ToValidUTF8(bytes.TrimRight(name, "\x00"), nil))
		}
	}
	return x, nil
}

func readMachO(r io.ReaderAt) (*executable, error) {
	f, err := macho.NewFile(r)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	x := &executable{Format: "Mach-O", OS: "darwin", Arch: named(f.Cpu, map[macho.Cpu]string{macho.CpuAmd64: "amd64", macho.CpuArm64: "arm64"})}
	x.Libraries, _ = f.ImportedLibraries()
	return x, nil
}

func readPE(r io.ReaderAt) (*executable, error) {
	f, err := pe.NewFile(r)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	machine := fmt.Sprintf("%#x", f.Machine)
	if arch, ok := map[uint16]string{pe.IMAGE_FILE_MACHINE_AMD64: "amd64", pe.IMAGE_FILE_MACHINE_ARM64: "arm64", pe.IMAGE_FILE_MACHINE_I386: "386"}[f.Machine]; ok {
		machine = arch
	}
	symbols, _ := f.ImportedSymbols() // "symbol:library"; the list of libraries itself is always empty
	x := &executable{Format: "PE", OS: "windows", Arch: machine}
	for _, s := range symbols {
		if _, library, ok := bytes.Cut([]byte(s), []byte(":")); ok && !slices.Contains(x.Libraries, string(library)) && len(x.Libraries) < maxLibraries {
			x.Libraries = append(x.Libraries, string(library))
		}
	}
	return x, nil
}

// named returns the name that Go has for a processor, or the format's own.
func named[T interface {
	comparable
	fmt.Stringer
}](machine T, names map[T]string) string {
	if name, ok := names[machine]; ok {
		return name
	}
	return machine.String()
}
