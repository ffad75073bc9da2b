// Command hits passes two fail-points three times each, and says so.
package main

import (
	"fmt"

	"github.com/tramhq/tram/internal/failpoint"
)

func main() {
	for range 3 {
		failpoint.Hit(failpoint.RequestRead)
		fmt.Println("read")
		failpoint.Hit(failpoint.BeforeCall)
		fmt.Println("called")
	}
}
