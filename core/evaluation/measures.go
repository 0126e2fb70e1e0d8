package evaluation

// The measures of explanations, by the names that results have them under.
const (
	comprehensiveness             = "comprehensiveness"
	sufficiency                   = "sufficiency"
	logOdds                       = "log_odds"
	logOddsRatio                  = "log_odds_ratio"
	deletion                      = "deletion_auc"
	insertion                     = "insertion_auc"
	decisionFlip                  = "decision_flip"
	looKendall                    = "loo_kendall"
	infidelity                    = "infidelity"
	infidelityNormalised          = "infidelity_normalised"
	embeddingInfidelity           = "embedding_infidelity"
	embeddingInfidelityNormalised = "embedding_infidelity_normalised"
	sensitivityMax                = "sensitivity_max"
	embeddingSensitivity          = "embedding_sensitivity_max"
	auprc                         = "auprc"
	averagePrecision              = "average_precision"
	rocAUC                        = "roc_auc"
	tokenF1                       = "token_f1"
	tokenIOU                      = "token_iou"
	iouPrecision                  = "iou_precision"
	iouRecall                     = "iou_recall"
	iouF1                         = "iou_f1"
	gini                          = "gini"
	entropy                       = "entropy"
)

// The measures of how two methods agree, by the names that results have them under.
const (
	KendallTauB = "kendall_tau_b"
	Spearman    = "spearman"
	Pearson     = "pearson"
	Cosine      = "cosine"
	TopOverlap  = "top_overlap" // of the largest fifth
)

// MeasureInfo describes a measure of explanations.
type MeasureInfo struct {
	Name  string // in results
	Topic string // what it is a measure of
	Title string // what people call it; empty of what tables do not show
	// Direction is 1 where more is better, −1 where less is, and 0 where neither is.
	Direction float64
	// OfScores is true where it reads scores, whose scale is the method's, and false
	// where it reads their order alone.
	OfScores bool
}

// Measures lists them, topic by topic, in the order in which tables show them.
var Measures = []MeasureInfo{
	{Name: comprehensiveness, Topic: "faithfulness", Title: "comprehensiveness", Direction: 1},
	{Name: sufficiency, Topic: "faithfulness", Title: "sufficiency", Direction: -1},
	{Name: logOdds, Topic: "faithfulness", Title: "log-odds", Direction: -1},
	{Name: logOddsRatio, Topic: "faithfulness", Title: "log-odds ratio", Direction: -1},
	{Name: deletion, Topic: "faithfulness", Title: "deletion AUC", Direction: -1},
	{Name: insertion, Topic: "faithfulness", Title: "insertion AUC", Direction: 1},
	{Name: decisionFlip, Topic: "faithfulness", Title: "decision flip", Direction: -1},
	{Name: looKendall, Topic: "faithfulness", Title: "τ with leave-one-out", Direction: 1},
	{Name: infidelity, Topic: "faithfulness", Title: "infidelity", Direction: -1, OfScores: true},
	{Name: infidelityNormalised, Topic: "faithfulness", Title: "infidelity, scaled", Direction: -1, OfScores: true},
	{Name: embeddingInfidelity, Topic: "faithfulness", Title: "infidelity, noise", Direction: -1, OfScores: true},
	{Name: embeddingInfidelityNormalised, Topic: "faithfulness", Title: "infidelity, noise, scaled", Direction: -1, OfScores: true},
	{Name: sensitivityMax, Topic: "stability", Title: "max sensitivity", Direction: -1, OfScores: true},
	{Name: embeddingSensitivity, Topic: "stability", Title: "max sensitivity, noise", Direction: -1, OfScores: true},
	{Name: auprc, Topic: "plausibility", Title: "AUPRC", Direction: 1},
	{Name: averagePrecision, Topic: "plausibility", Title: "average precision", Direction: 1},
	{Name: rocAUC, Topic: "plausibility", Title: "ROC AUC", Direction: 1},
	{Name: tokenF1, Topic: "plausibility", Title: "token F1", Direction: 1},
	{Name: tokenIOU, Topic: "plausibility", Title: "token IOU", Direction: 1},
	{Name: iouPrecision, Topic: "plausibility", Direction: 1}, // parts of the next
	{Name: iouRecall, Topic: "plausibility", Direction: 1},
	{Name: iouF1, Topic: "plausibility", Title: "IOU F1", Direction: 1},
	{Name: gini, Topic: "sparsity", Title: "Gini", OfScores: true},
	{Name: entropy, Topic: "sparsity", Title: "entropy", OfScores: true},
}
