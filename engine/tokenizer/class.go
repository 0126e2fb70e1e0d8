package tokenizer

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/xai-go/xai/engine/tokenizer/internal/model"
)

// A class is a tokenizer class of transformers, or several that are alike, with
// what holds where no file says otherwise.
type class struct {
	names  []string // without the suffix of the fast ones
	models []string // the model types of config.json whose tokenizer it is
	// usual are the special tokens by their role. Their flags hold too where a
	// file gives a role's token as a mere string.
	usual map[string]addedToken
	// more are further special tokens where no file names any.
	more []string
	// pieces says that the slow tokenizer runs a SentencePiece model.
	pieces bool
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

	xlnet = &class{
		names:  []string{"XLNetTokenizer"},
		models: []string{"xlnet"},
		usual: map[string]addedToken{
			"unk_token": {content: "<unk>"}, "sep_token": {content: "<sep>"}, "pad_token": {content: "<pad>"},
			"cls_token": {content: "<cls>"}, "mask_token": {content: "<mask>", lstrip: true},
			"bos_token": {content: "<s>"}, "eos_token": {content: "</s>"},
		},
		more:   []string{"<eop>", "<eod>"},
		pieces: true,
	}
	albert = &class{
		names:  []string{"AlbertTokenizer"},
		models: []string{"albert"},
		usual: map[string]addedToken{
			"unk_token": {content: "<unk>"}, "sep_token": {content: "[SEP]"}, "pad_token": {content: "<pad>"},
			"cls_token": {content: "[CLS]"}, "mask_token": {content: "[MASK]", lstrip: true},
			"bos_token": {content: "[CLS]"}, "eos_token": {content: "[SEP]"},
		},
		pieces: true,
	}
	t5 = &class{
		names:  []string{"T5Tokenizer"},
		models: []string{"t5"},
		usual: map[string]addedToken{
			"unk_token": {content: "<unk>"}, "pad_token": {content: "<pad>"}, "eos_token": {content: "</s>"},
		},
		pieces: true,
	}
	xlmRoberta = &class{
		names:  []string{"XLMRobertaTokenizer"},
		models: []string{"xlm-roberta", "xlm-roberta-xl"},
		usual: map[string]addedToken{
			"unk_token": {content: "<unk>"}, "sep_token": {content: "</s>"}, "pad_token": {content: "<pad>"},
			"cls_token": {content: "<s>"}, "mask_token": {content: "<mask>", lstrip: true},
			"bos_token": {content: "<s>"}, "eos_token": {content: "</s>"},
		},
		pieces: true,
	}
	llama = &class{
		names:  []string{"LlamaTokenizer"},
		models: []string{"llama", "mistral"},
		usual: map[string]addedToken{
			"unk_token": {content: "<unk>"}, "bos_token": {content: "<s>"}, "eos_token": {content: "</s>"},
		},
		pieces: true,
	}
	debertaV2 = &class{
		names:  []string{"DebertaV2Tokenizer"},
		models: []string{"deberta-v2"},
		usual: map[string]addedToken{
			"unk_token": {content: "[UNK]"}, "sep_token": {content: "[SEP]"}, "pad_token": {content: "[PAD]"},
			"cls_token": {content: "[CLS]"}, "mask_token": {content: "[MASK]"},
			"bos_token": {content: "[CLS]"}, "eos_token": {content: "[SEP]"},
		},
		pieces: true,
	}

	allClasses = []*class{bert, gpt2, roberta, qwen2, clip, xlnet, albert, t5, xlmRoberta, llama, debertaV2}
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

// guessClass returns the class of a tokenizer that no file names: that of the
// model type or, where there is no config.json, that whose usual special tokens
// are all there. It returns nil where neither tells.
func (f *folder) guessClass(v *model.Vocabulary, added []addedToken) (*class, error) {
	modelType, err := f.modelType()
	if err != nil || modelType != "" {
		f.digest("config.json: model_type", []byte(modelType))
		return classOfModel(modelType), err
	}
	has := func(content string) bool {
		_, ok := v.ID(content)
		return ok || slices.ContainsFunc(added, func(token addedToken) bool { return token.content == content })
	}
	for _, c := range []*class{roberta, clip, gpt2} {
		all := true
		for _, token := range c.usual {
			all = all && has(token.content)
		}
		if all {
			return c, nil
		}
	}
	return nil, nil
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
