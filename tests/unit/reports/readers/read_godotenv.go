// Prints the variables of the file that is named, as godotenv reads them: NAME=value with a zero byte behind each.
package main

import (
	"fmt"
	"os"

	"github.com/joho/godotenv"
)

func main() {
	found, err := godotenv.Read(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for name, value := range found {
		fmt.Printf("%s=%s\x00", name, value)
	}
}
