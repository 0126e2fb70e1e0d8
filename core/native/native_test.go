package native_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/native"
	"github.com/xai-go/xai/sdk"
)

// method is a method made of a function.
type method func(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error)

func (method) Info() sdk.Info {
	return sdk.Info{Name: "method", Needs: []sdk.Need{sdk.NeedForward, sdk.NeedGradients}}
}

func (f method) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	return f(ctx, m, r)
}

type model struct{}

func (model) Info() sdk.ModelInfo { return sdk.ModelInfo{ID: "model"} }

func (model) Forward(ctx context.Context, f *sdk.Forward) (sdk.Reply, error) { return nil, ctx.Err() }

func request() *sdk.Request { return &sdk.Request{Text: "a", Units: []sdk.Unit{{Text: "a"}}} }

func explanation(v ...float64) *sdk.Explanation {
	return &sdk.Explanation{Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: v}}}
}

func TestExplain(t *testing.T) {
	own := errors.New("the method's own")
	for name, c := range map[string]struct {
		f    method
		want error
	}{
		"good": {func(_ context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
			var b [1]byte
			if _, err := r.Rand.Read(b[:]); err != nil {
				return nil, err
			}
			r.Log(sdk.Note, m.Info().ID)
			return explanation(float64(b[0])), r.Progress(1, 1)
		}, nil},
		"own error": {func(context.Context, sdk.Model, *sdk.Request) (*sdk.Explanation, error) { return nil, own }, own},
		"panic": {func(context.Context, sdk.Model, *sdk.Request) (*sdk.Explanation, error) { panic(own) },
			sdk.NewError(sdk.EInternal, "the method panicked: the method's own")},
		"panic of nothing known": {func(context.Context, sdk.Model, *sdk.Request) (*sdk.Explanation, error) { panic(5) },
			sdk.NewError(sdk.EInternal, "the method panicked")},
		"nothing": {func(context.Context, sdk.Model, *sdk.Request) (*sdk.Explanation, error) { return nil, nil },
			sdk.NewError(sdk.EInternal, "the method returned neither an explanation nor an error")},
		"too much": {func(context.Context, sdk.Model, *sdk.Request) (*sdk.Explanation, error) {
			return explanation(1, 2), nil
		},
			sdk.NewError(sdk.EInternal, "the method returned 2 values of attributions for 1 units")},
		"bad forward": {func(ctx context.Context, m sdk.Model, _ *sdk.Request) (*sdk.Explanation, error) {
			_, err := m.Forward(ctx, &sdk.Forward{})
			return nil, err
		}, &sdk.Error{Code: sdk.EInvalid}},
		"a power without its need": {func(ctx context.Context, m sdk.Model, _ *sdk.Request) (*sdk.Explanation, error) {
			_, err := sdk.Tokenize(ctx, m, "a")
			return nil, err
		}, &sdk.Error{Code: sdk.ECap}},
		"a power that the model lacks": {func(ctx context.Context, m sdk.Model, _ *sdk.Request) (*sdk.Explanation, error) {
			_, err := sdk.Gradient(ctx, m, &sdk.Forward{Texts: []string{"a"}}, "embeddings")
			return nil, err
		}, &sdk.Error{Code: sdk.EUnsupported}},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := native.Explain(t.Context(), c.f, model{}, request())
			if !errors.Is(err, c.want) || (err == nil) != (e != nil) {
				t.Errorf("got %+v, %v, want %v", e, err, c.want)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	wrapped := method(func(ctx context.Context, m sdk.Model, _ *sdk.Request) (*sdk.Explanation, error) {
		cancel()
		_, err := m.Forward(ctx, &sdk.Forward{Texts: []string{"a"}})
		return nil, sdk.NewError(sdk.ECancelled, "wrapped: "+err.Error())
	})
	if _, err := native.Explain(ctx, wrapped, model{}, request()); err != context.Canceled {
		t.Errorf("cancelled in a forward: %v", err)
	}
	short, stop := native.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	slow := method(func(ctx context.Context, m sdk.Model, _ *sdk.Request) (*sdk.Explanation, error) {
		<-ctx.Done()
		_, err := m.Forward(ctx, &sdk.Forward{Texts: []string{"a"}})
		return nil, err
	})
	for _, f := range []method{slow, called(t)} { // the second time is past the deadline
		_, err := native.Explain(short, f, model{}, request())
		if limit, ok := errors.AsType[*contract.LimitError](err); !ok || limit.Limit != "timeout" || err.Error() != "ran longer than its limit of 20ms" {
			t.Errorf("past the deadline: %v", err)
		}
	}
	gaveUp, cancelled := context.WithCancel(t.Context())
	within, stop := native.WithTimeout(gaveUp, time.Hour)
	defer stop()
	cancelled()
	if _, err := native.Explain(within, slow, model{}, request()); err != context.Canceled {
		t.Errorf("cancelled within the deadline: %v", err)
	}
	if _, err := native.Explain(ctx, called(t), model{}, request()); err != context.Canceled {
		t.Errorf("cancelled before: %v", err)
	}
}

// called is a method that must not run.
func called(t *testing.T) method {
	return func(context.Context, sdk.Model, *sdk.Request) (*sdk.Explanation, error) {
		t.Error("the method ran")
		return nil, nil
	}
}
