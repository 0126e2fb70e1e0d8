package tokenizer

import (
	"errors"
	"io/fs"
	"slices"
)

// A class is a tokenizer class of transformers, or several that are alike, with
// what holds where no file says otherwise.
type class struct {
	names  []string // without the suffix of the fast ones
	models []string // the model types of config.json whose tokenizer it is
	// usual are the special tokens by their role. Their flags hold too where a
	// file gives a role's token as a mere string.
	usual map[string]addedToken
}

// The classes that are known, apart from those that differ from one of them in
// nothing but the name.
var (
	bert = &class{
		names: []string{
			"BertTokenizer", "ConvBertTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
			"LayoutLMTokenizer", "LxmertTokenizer", "MobileBertTokenizer", "RetriBertTokenizer",
		},
		models: []string{
			"bert", "convbert", "distilbert", "electra", "layoutlm", "lxmert", "mobilebert", "retribert",
		},
		usual: map[string]addedToken{
			"unk_token": {content: "[UNK]"}, "sep_token": {content: "[SEP]"}, "pad_token": {content: "[PAD]"},
			"cls_token": {content: "[CLS]"}, "mask_token": {content: "[MASK]"},
		},
	}
	gpt2 = &class{
		names:  []string{"GPT2Tokenizer", "CodeGenTokenizer", "GPTNeoXTokenizer"},
		models: []string{"gpt2", "gpt_bigcode", "gpt_neo", "gptj", "gpt_neox", "codegen", "opt"},
		usual: map[string]addedToken{
			"unk_token": {content: "<|endoftext|>"}, "bos_token": {content: "<|endoftext|>"},
			"eos_token": {content: "<|endoftext|>"},
		},
	}
	roberta = &class{
		names:  []string{"RobertaTokenizer", "BartTokenizer", "LEDTokenizer", "LongformerTokenizer"},
		models: []string{"roberta", "bart", "led", "longformer"},
		usual: map[string]addedToken{
			"unk_token": {content: "<unk>"}, "sep_token": {content: "</s>"}, "pad_token": {content: "<pad>"},
			"cls_token": {content: "<s>"}, "mask_token": {content: "<mask>", lstrip: true},
			"bos_token": {content: "<s>"}, "eos_token": {content: "</s>"},
		},
	}
	qwen2 = &class{
		names:  []string{"Qwen2Tokenizer"},
		models: []string{"qwen2", "qwen3"},
		usual: map[string]addedToken{
			"unk_token": {content: "<|endoftext|>"}, "eos_token": {content: "<|endoftext|>"},
			"pad_token": {content: "<|endoftext|>"},
		},
	}
	clip = &class{
		names:  []string{"CLIPTokenizer"},
		models: []string{"clip", "clip_text_model"},
		usual: map[string]addedToken{
			"unk_token": {content: "<|endoftext|>"}, "pad_token": {content: "<|endoftext|>"},
			"bos_token": {content: "<|startoftext|>"}, "eos_token": {content: "<|endoftext|>"},
		},
	}

	allClasses = []*class{bert, gpt2, roberta, qwen2, clip}
)

// classNamed returns the class with the name, or nil if it is none of the known
// ones.
func classNamed(name string) *class {
	for _, c := range allClasses {
		if slices.Contains(c.names, name) {
			return c
		}
	}
	return nil
}

// classOfModel returns the class of the tokenizers of a model type, or nil.
func classOfModel(modelType string) *class {
	for _, c := range allClasses {
		if slices.Contains(c.models, modelType) {
			return c
		}
	}
	return nil
}

// modelType returns the model type that config.json names. It is empty if there
// is none.
func (f *folder) modelType() (string, error) {
	data, err := f.peek("config.json")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	config, err := parseFile("config.json", data)
	if err != nil {
		return "", err
	}
	var modelType string
	err = config.get("model_type", &modelType)
	return modelType, err
}
