package lime

import (
	"strconv"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
)

// The bounds of a run. They keep the mask, which has one byte a sample and
// feature, and the normal equations, which have a float64 a pair of features,
// inside the module's memory.
const (
	maxSamples  = 100_000
	maxFeatures = 2000
	maxCells    = 1 << 25 // samples × features
	maxScores   = 1 << 24 // samples × classes, where max_stderr says how many samples
)

// usualSamples is the default of num_samples.
const usualSamples = 1000

// auto is the value of an enum that leaves the choice to the method.
const auto = "auto"

// nonWord is the expression that separates words unless another is given.
const nonWord = `\W+`

// The feature selections of the reference implementation.
const (
	selectNone    = "none"
	selectHighest = "highest_weights"
	selectForward = "forward_selection"
	selectLasso   = "lasso_path"
)

// The distances in the binary space that the reference passes to scikit-learn's
// pairwise_distances.
const (
	cosine    = "cosine"
	euclidean = "euclidean"
	manhattan = "manhattan"
)

// Info implements sdk.Method.
func (Method) Info() sdk.Info {
	info := sdk.Info{
		Name:    "lime",
		Version: "1.0.0",
		Summary: "Weights of a sparse linear model that imitates the model near the input",
		Source:  "Ribeiro, Singh, Guestrin 2016, arXiv:1602.04938; marcotcr/lime",
		Needs:   []sdk.Need{sdk.NeedForward},
		Params: []sdk.Param{
			{
				Name: "compat", Type: sdk.Enum, Default: "none", Values: []string{"none", "lime"},
				Doc: "lime: the reference's own words, whatever the units of the request, its defaults and its random stream",
			},
			{
				Name: "num_samples", Aliases: []string{"nsamples", "n_samples", "n_perturbations"},
				Type: sdk.Int, Default: int64(usualSamples), Min: sdk.Bound(2), Max: sdk.Bound(maxSamples), Compat: preset(int64(5000)),
				Doc: "variants of the input that the linear model is fitted to, the input itself among them",
			},
			game.MaxStderr("num_samples"),
			{
				Name: "num_features", Aliases: []string{"n_features", "max_features"},
				Type: sdk.Int, Default: int64(0), Min: sdk.Bound(0), Max: sdk.Bound(maxFeatures), Compat: preset(int64(10)),
				Doc: "how many features may have a weight, the others get 0; 0 is all of them",
			},
			{
				Name: "kernel_width", Type: sdk.Float, Default: 25.0, Min: sdk.Bound(1e-3), Max: sdk.Bound(1e6),
				Doc: "width of the kernel sqrt(exp(-(d/width)^2)), where d is 100 times the distance",
			},
			{
				Name: "feature_selection", Type: sdk.Enum, Default: auto,
				Values: []string{auto, selectNone, selectHighest, selectForward, selectLasso},
				Doc:    "how num_features are chosen; auto is forward_selection up to 6 features and highest_weights above; none keeps all, whatever num_features says",
			},
			{
				Name: "distance_metric", Type: sdk.Enum, Default: cosine, Values: []string{cosine, euclidean, manhattan},
				Doc: "distance between the masks of a variant and of the input; euclidean and manhattan want a wider kernel",
			},
			{
				Name: "alpha", Aliases: []string{"ridge_alpha"}, Type: sdk.Float, Default: 1.0, Min: sdk.Bound(0), Max: sdk.Bound(1e9),
				Doc: "ridge penalty of the linear model; the intercept goes free",
			},
			{
				Name: "bow", Type: sdk.Bool, Default: false, Compat: preset(true),
				Doc: "bag of words: a feature is a distinct word and stands for all its occurrences",
			},
			{
				Name: "fill", Type: sdk.Enum, Default: auto, Values: append(append([]string{auto}, sdk.FillNames...), sdk.FillToken.String()),
				Doc: "what a dropped unit becomes; auto is text where mask_string is given, token where fill_token is, else the mask token, delete where the tokenizer has none, or zero for token ids without a tokenizer and for embeddings; under compat=lime it is delete with bow and text without; zero, average (the mean word embedding of the vocabulary) and hide (from the attention of all tokens) keep every other token in its place",
			},
			{
				Name: "mask_string", Type: sdk.String, Default: "",
				Doc: "the text of fill=text; empty is UNKWORDZ, or the character U+0000 with char_level",
			},
			{
				Name: "split_expression", Type: sdk.String, Default: nonWord,
				Doc: "compat=lime: what separates words, a regular expression of one character, escape or [class] with an optional +, in Python's Unicode sense",
			},
			{
				Name: "char_level", Type: sdk.Bool, Default: false,
				Doc: "compat=lime: features are characters, white space among them, instead of words",
			},
			game.TopLabels(),
		},
	}
	for _, p := range game.Params() {
		if p.Name != game.ParamFill && p.Name != game.ParamMaskString { // whose defaults are LIME's own
			info.Params = append(info.Params, p)
		}
	}
	return info
}

// preset is the default v under compat=lime.
func preset(v any) map[string]any { return map[string]any{"lime": v} }

// settings are the parameters of one run.
type settings struct {
	compat    bool // the reference's words and random stream
	samples   int
	maxStderr float64
	features  int // 0 for all
	width     float64
	alpha     float64
	selection string
	metric    string
	bow       bool
	fill      sdk.Fill
	split     class // the characters that separate words
	chars     bool
	special   bool // special tokens are features too
	topLabels int
}

// resolve reads the parameters and refuses what would have no effect.
func resolve(r *sdk.Request, m sdk.ModelInfo) (settings, error) {
	p := r.Params
	s := settings{
		compat:    p.String("compat") == "lime",
		samples:   p.Int("num_samples"),
		maxStderr: p.Float(game.ParamMaxStderr),
		features:  p.Int("num_features"),
		width:     p.Float("kernel_width"),
		alpha:     p.Float("alpha"),
		selection: p.String("feature_selection"),
		metric:    p.String("distance_metric"),
		bow:       p.Bool("bow"),
		chars:     p.Bool("char_level"),
		special:   p.String(game.ParamSpecial) == "replace",
		topLabels: p.Int(game.ParamTopLabels),
	}
	expression := p.String("split_expression")
	switch {
	case !s.compat && s.chars:
		return s, invalid("char_level=true needs compat=lime: otherwise the features are the units of the request")
	case s.compat && (s.special || p.String(game.ParamFillBy) == "token"):
		return s, invalid("special=replace and fill_by=token need compat=none: the reference knows words alone")
	case s.compat && s.maxStderr > 0:
		return s, invalid("max_stderr needs compat=none: the reference draws its whole sample at once")
	case !s.compat && expression != nonWord:
		return s, invalid("split_expression needs compat=lime: otherwise the features are the units of the request")
	case s.chars && expression != nonWord:
		return s, invalid("char_level=true and split_expression exclude each other: give one of them")
	}
	var err error
	if s.split, err = parseClass(expression); err != nil {
		return s, err
	}
	s.fill, err = resolveFill(r, s, m)
	return s, err
}

// resolveFill returns the fill policy. The reference's bow=true ignores a
// mask_string.
func resolveFill(r *sdk.Request, s settings, m sdk.ModelInfo) (sdk.Fill, error) {
	p, automatic, text := r.Params, game.Automatic(r, m), "UNKWORDZ"
	if s.chars {
		text = "\x00"
	}
	if s.compat {
		automatic = sdk.FillText
		if s.bow {
			automatic = sdk.FillDelete
			if p.String(game.ParamFill) == auto && game.FillToken(p) < 0 {
				return sdk.Fill{Kind: automatic}, nil
			}
		}
	}
	return game.Fill(p, m, automatic, text)
}

// limit returns how many of n features may have a weight, and the selection
// that auto stands for.
func (s settings) limit(n int) (k int, selection string) {
	k = s.features
	if k == 0 {
		return n, selectNone
	}
	switch {
	case s.selection != auto:
		return min(k, n), s.selection
	case k <= 6:
		return min(k, n), selectForward
	}
	return min(k, n), selectHighest
}

// checkSize refuses what the module's memory cannot hold.
func (s settings) checkSize(n int) error {
	if n > maxFeatures {
		return invalid("the input has " + strconv.Itoa(n) + " features and LIME takes at most " + strconv.Itoa(maxFeatures) +
			": use coarser units (--units sentence) or a shorter text")
	}
	if s.samples*n > maxCells {
		return invalid("num_samples=" + strconv.Itoa(s.samples) + " is too many for " + strconv.Itoa(n) + " features: use at most " + strconv.Itoa(maxCells/n))
	}
	return nil
}

func invalid(message string) *sdk.Error { return sdk.NewError(sdk.EInvalid, message) }
