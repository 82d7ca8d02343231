package main

import (
	"fmt"
	"os"
)

const usage = `usage: oracle render < questions > answers`

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s", usage)
	}
	switch args[0] {
	case "render":
		return answerLines(os.Stdin, os.Stdout)
	default:
		return fmt.Errorf("unknown command %q\n%s", args[0], usage)
	}
}
