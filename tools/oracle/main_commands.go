package main

import (
	"flag"
	"fmt"
	"os"
)

const usage = `usage:
  oracle render < questions > answers           answer with Go's text/template and Sprig
  oracle generate [-n COUNT] [-seed N]          make random questions
  oracle compare QUESTIONS WANT GOT             show where two files of answers differ
  oracle content DIR...                         make questions of checkouts of content packs
  oracle hard LIST DIR...                       make one question of each template named in a list
  oracle time < questions                       measure the renders
  oracle record DATA CASES > GOLDEN             record the answers to crates/template/tests/cases
  oracle record-objects CASES > GOLDEN          the same for the cases about structs and methods`

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s", usage)
	}
	switch args[0] {
	case "render":
		return answerAll(os.Stdin, os.Stdout)
	case "answer":
		// What render starts.
		return answerLines(os.Stdin, os.Stdout)
	case "generate":
		flags := flag.NewFlagSet("generate", flag.ContinueOnError)
		count := flags.Int("n", 1000, "how many questions")
		seed := flags.Int64("seed", 1, "seed of the random numbers")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return generate(os.Stdout, *count, *seed)
	case "compare":
		if len(args) != 4 {
			return fmt.Errorf("%s", usage)
		}
		return compare(args[1], args[2], args[3], os.Stdout)
	case "time":
		return timeLines(os.Stdin, os.Stdout)
	case "content":
		return content(args[1:], os.Stdout)
	case "hard":
		if len(args) < 3 {
			return fmt.Errorf("%s", usage)
		}
		return hard(args[1], args[2:], os.Stdout)
	case "record":
		if len(args) != 3 {
			return fmt.Errorf("%s", usage)
		}
		return record(args[1], args[2], os.Stdout)
	case "record-objects":
		if len(args) != 2 {
			return fmt.Errorf("%s", usage)
		}
		return recordObjects(args[1], os.Stdout)
	default:
		return fmt.Errorf("unknown command %q\n%s", args[0], usage)
	}
}
