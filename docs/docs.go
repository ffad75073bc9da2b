// Package docs has the documents that the programs quote.
package docs

import _ "embed"

// Reasons is docs/reasons.md.
//
//go:embed reasons.md
var Reasons string
