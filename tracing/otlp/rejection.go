package otlp

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// rejection is what an ExportTraceServiceResponse says of spans that were not taken, nil if all were. Its fields, of
// opentelemetry/proto/collector/trace/v1/trace_service.proto: 1 partial_success, in it 1 rejected_spans, 2 error_message.
func rejection(answer []byte) error {
	var partial []byte
	var spans uint64
	var message string
	err := eachField(answer, func(field protowire.Number, _ uint64, value []byte) {
		if field == 1 {
			partial = value
		}
	})
	if err == nil {
		err = eachField(partial, func(field protowire.Number, number uint64, value []byte) {
			switch field {
			case 1:
				spans = number
			case 2:
				message = string(value)
			}
		})
	}
	switch {
	case err != nil:
		return fmt.Errorf("reading the answer: %w", err)
	case spans > 0 || message != "":
		return fmt.Errorf("it rejected %d spans: %q", spans, message)
	}
	return nil
}

// eachField calls take with the fields of a protobuf message, each with its number, and its bytes.
func eachField(message []byte, take func(field protowire.Number, number uint64, value []byte)) error {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var number uint64
		var value []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(field, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		take(field, number, value)
		message = message[n:]
	}
	return nil
}
