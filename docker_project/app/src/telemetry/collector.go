package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"example.com/slipway/app/src/config"
)

const (
	contentType    = "application/x-protobuf"
	maxAnswerBytes = 64 << 10

	// Fields of ExportTraceServiceResponse and of ExportTracePartialSuccess in it.
	partialSuccessField = 1
	errorMessageField   = 2
)

// collector sends spans by OTLP over HTTP (https://opentelemetry.io/docs/specs/otlp/#otlphttp). OpenTelemetry's own
// client for this, otlptracehttp, brings all of gRPC with it: 5 MB, a quarter of the image.
type collector struct {
	to     config.Traces
	client *http.Client
}

func newCollector(to config.Traces) *collector {
	return &collector{to: to, client: &http.Client{Timeout: to.Timeout}}
}

// Start implements otlptrace.Client; the first batch connects.
func (c *collector) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *collector) Stop(context.Context) error {
	c.client.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client. It sends once: a batch that fails is dropped, since the next ones wait.
func (c *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// ExportTraceServiceRequest, which is encoded the same, is in the package with gRPC.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.to.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, value := range c.to.Headers {
		request.Header.Set(name, value.Reveal())
	}
	request.Header.Set("Content-Type", contentType)
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("%s: %w", c.to.URL, err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("%s: %s", c.to.URL, response.Status)
	}
	if response.Header.Get("Content-Type") != contentType {
		return nil
	}
	return rejection(answer)
}

// rejection returns why the collector did not take all of a batch that it answered 200.
func rejection(answer []byte) error {
	if partial := field(answer, partialSuccessField); len(partial) > 0 {
		return errors.New("the collector rejected spans: " + string(field(partial, errorMessageField)))
	}
	return nil
}

// field returns a field of a message that is a text or a message itself, nil when it is not there.
func field(message []byte, wanted protowire.Number) []byte {
	for len(message) > 0 {
		number, kind, length := protowire.ConsumeTag(message)
		if length < 0 {
			return nil
		}
		message = message[length:]
		if number == wanted && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			return value
		}
		if length = protowire.ConsumeFieldValue(number, kind, message); length < 0 {
			return nil
		}
		message = message[length:]
	}
	return nil
}
