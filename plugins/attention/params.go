package attention

import "github.com/xai-go/xai/sdk"

const (
	paramFusion   = "fusion"
	paramPosition = "position"
	paramStart    = "start_layer"
	paramResidual = "residual"

	fusionMean = "mean"
	fusionMax  = "max"
	fusionMin  = "min"
)

func fusionParam() sdk.Param {
	return sdk.Param{
		Name: paramFusion, Aliases: []string{"head_fusion", "heads"}, Type: sdk.Enum, Default: fusionMean, Values: []string{fusionMean, fusionMax, fusionMin},
		Doc: "how the heads of a layer become one matrix",
	}
}

func layerParam(doc string) sdk.Param {
	return sdk.Param{
		Name: paramLayer, Type: sdk.Int, Default: int64(-1), Min: sdk.Bound(-maxLayers), Max: sdk.Bound(maxLayers), Doc: doc,
	}
}

func positionParam() sdk.Param {
	return sdk.Param{
		Name: paramPosition, Type: sdk.Int, Default: int64(-1), Min: sdk.Bound(-1), Max: sdk.Bound(maxTokens - 1),
		Doc: "the row of the matrix that is attributed, as a token of the input; -1 is where the target is read, the mean where that are several",
	}
}

func startParam() sdk.Param {
	return sdk.Param{
		Name: paramStart, Type: sdk.Int, Default: int64(0), Min: sdk.Bound(0), Max: sdk.Bound(maxLayers),
		Doc: "the first layer that counts; what those before it mixed is ignored",
	}
}

func residualParam() sdk.Param {
	return sdk.Param{
		Name: paramResidual, Aliases: []string{"add_residual"}, Type: sdk.Bool, Default: true,
		Doc: "add the identity to each layer's attention, for what goes around it",
	}
}
