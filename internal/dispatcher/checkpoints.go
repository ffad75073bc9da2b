package dispatcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
)

// checkpoints keeps a partition's checkpoint in its bucket. Every write names
// the revision before, so an owner that lost the partition cannot write.
type checkpoints struct {
	js     jetstream.JetStream
	reader *broker.Reader
	n      int
	kv     jetstream.KeyValue
	rev    uint64
	last   []byte
}

func (c *checkpoints) key() string { return "ck." + strconv.Itoa(c.n) }

// read returns the newest checkpoint; a partition that never had one starts at
// the beginning of the streams.
func (c *checkpoints) read(ctx context.Context) (*checkpoint, error) {
	kv, err := c.js.KeyValue(ctx, broker.CheckpointsBucket)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	c.kv = kv
	m, err := c.newest(ctx)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return &checkpoint{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	c.rev = m.Seq
	var ck checkpoint
	if err := msgpack.Unmarshal(m.Data, &ck); err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	if err := ledger.CheckFormat(ck.Format); err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	return &ck, nil
}

// write stores ck unless it is what is stored already.
func (c *checkpoints) write(ctx context.Context, ck *checkpoint) error {
	ck.Format = ledger.Format
	data, err := msgpack.Marshal(ck)
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	if bytes.Equal(data, c.last) {
		return nil
	}
	rev, err := c.kv.Update(ctx, c.key(), data, c.rev)
	if err == nil {
		c.rev, c.last = rev, data
		return nil
	}
	if !broker.IsWrongSequence(err) {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	// Refused: an earlier try of ours may have been stored and its answer lost.
	m, err := c.newest(ctx)
	if err == nil && bytes.Equal(m.Data, data) {
		c.rev, c.last = m.Seq, data
		return nil
	}
	return errFenced
}

// newest reads the key from the bucket's leader. The client library asks any
// replica, and one that is behind names a revision that the leader refuses.
func (c *checkpoints) newest(ctx context.Context) (*broker.Stored, error) {
	return c.reader.Last(ctx, "KV_"+broker.CheckpointsBucket, "$KV."+broker.CheckpointsBucket+"."+c.key())
}
