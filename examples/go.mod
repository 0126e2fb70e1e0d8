module github.com/xai-go/xai/examples

go 1.26.0

toolchain go1.26.8

require github.com/xai-go/xai v0.0.0

replace github.com/xai-go/xai => ../
