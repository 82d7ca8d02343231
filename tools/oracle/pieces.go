package main

import (
	"fmt"
	"strings"
)

// Lists of whole texts (generate.go) only ask what somebody thought of. Here the texts of small languages, such as regular
// expressions and layouts of dates, are put together of their pieces: many are wrong somewhere, and both engines have to say where.

// pieces of texts, by the letters of signatures; N stands for constants of the template language, s for texts of numbers.
var pieces = map[byte][]string{
	'r': {
		`a`, `b`, `c`, `x`, `é`, `日`, `k`, `ſ`, ` `, `-`, `]`, `}`, `#`, `&&`, `--`, `~~`, `.`, `^`, `$`, `|`, `|`, `*`, `+`, `?`, `*?`, `+?`, `??`, `**`, `*+`,
		`{2}`, `{0}`, `{2,}`, `{,2}`, `{2,3}`, `{3,2}`, `{1,1}`, `{100}`, `{11}`, `{1001}`, `{`, `{a}`, `{2}?`, `{2}{3}`,
		`(`, `(`, `)`, `)`, `(a|`, `()`, `(?:a|b)`, `(?P<n>a)`, `(?P<n>b)`, `(?<m>b)`, `(?P<1a>a)`, `(?P<é>a)`, `(?P<>a)`, `(?P<`, `(?<`, `(?P=n)`, `(?'n'a)`,
		`(?`, `(?=a)`, `(?!a)`, `(?<=a)`, `(?#c)`, `(?x)`, `(?i)`, `(?s)`, `(?m)`, `(?U)`, `(?-U)`, `(?-i)`, `(?im-s)`, `(?i-)`, `(?--i)`, `(?i:`, `(?U:a`, `(?)`, `(?:)`,
		`[a-z]`, `[^a-z]`, `[`, `[^`, `[a`, `[]a]`, `[^]a]`, `[a-]`, `[-a]`, `[z-a]`, `[a\-z]`, `[a-\d]`, `[\d-z]`, `[\d\s]`, `[^\W]`, `[\pL]`, `[^\pL\n]`, `[[a]]`, `[\b]`,
		`[[:alpha:]]`, `[[:^digit:]]`, `[[:word:]]`, `[[:foo:]]`, `[[:alpha]`, `[:alpha:]`, `[é-ü]`, `[\x{100}-\x{200}]`, `[\x61]`, `[k-s]`,
		`\d`, `\D`, `\w`, `\W`, `\s`, `\S`, `\b`, `\B`, `\A`, `\z`, `\Z`, `\Q.\E`, `\Q`, `\E`, `\C`, `\X`, `\R`, `\K`, `\G`, `\h`, `\N`, `\c`, `\e`, `\<`, `\_`, `\-`, `\ `, `\é`, `\`,
		`\n`, `\t`, `\f`, `\v`, `\a`, `\r`, `\0`, `\1`, `\8`, `\07`, `\101`, `\777`, `\x41`, `\x4`, `\x`, `\xg1`, `\x{e9}`, `\x{}`, `\x{110000}`, `\x{41`, `\x{4g}`, `\u0041`,
		`\pL`, `\PL`, `\pX`, `\p`, `\p{`, `\p{}`, `\p{Lu}`, `\p{lu}`, `\P{^Lu}`, `\p{^L}`, `\p{Greek}`, `\p{greek}`, `\P{Greek}`, `\p{ GREEK-}`, `\P{Miao}`, `\p{Grek}`, `\p{IsGreek}`, `\p{Thai}`,
		`\p{Script=Greek}`, `\p{gc=L}`, `\p{Any}`, `\p{ASCII}`, `\p{Assigned}`, `\p{LC}`, `\p{Cn}`, `\p{C}`, `\p{Letter}`, `\p{Close_Punctuation}`, `\p{digit}`, `\p{Emoji}`, `\p{Alphabetic}`, `\p{Foo}`,
	},
	'v': {`0`, `1`, `2`, `3`, `10`, `01`, `x`, `*`, `.`, `.`, `.`, `-`, `+`, `v`, `V`, ` `, `rc`, `beta.1`, `a-b`, `-0`, `-01`, `+b.1`, `18446744073709551615`, `18446744073709551616`, `é`},
	'c': {
		`1`, `2`, `3`, `0`, `1.2`, `1.2.3`, `2.x`, `x`, `X`, `*`, `.`, `-beta`, `-1`, `+b`, `v1`, `=`, `!=`, `>`, `<`, `>=`, `<=`, `=>`, `=<`, `~`, `~>`, `^`, `==`, `!`, ` - `, ` -`, `,`, `, `, ` `, `||`, ` || `, `|`,
	},
	'T': {
		`2006`, `06`, `01`, `1`, `Jan`, `January`, `02`, `2`, `_2`, `002`, `__2`, `15`, `03`, `3`, `04`, `4`, `05`, `5`, `PM`, `pm`, `MST`, `Z07:00`, `Z0700`, `Z07`, `Z070000`, `-07:00`, `-0700`, `-07`,
		`-070000`, `-07:00:00`, `.000`, `.999`, `,000`, `05.000`, `05.999999999`, `Mon`, `Monday`, `Month`, `_2006`, `Z`, `GMT`, `-`, `/`, ` `, `:`, `T`, `é`, `x`, `0`, `12`,
	},
	'd': {`1`, `2`, `0`, `9223372036854775807`, `9223372036854775808`, `.5`, `1.`, `.`, `-`, `+`, `h`, `m`, `s`, `ms`, `us`, `µs`, `ns`, `d`, ` `, `e3`, `1h`, `30m`, `1.5s`},
	's': {`0`, `1`, `7`, `8`, `12`, `0x`, `0b`, `0o`, `_`, `.`, `.5`, `e3`, `e-400`, `e400`, `p2`, `+`, `-`, ` `, `Inf`, `nan`, `9223372036854775807`, `18446744073709551616`, `a`, `٣`},
	'N': {
		`0`, `1`, `7`, `8`, `12`, `0x`, `0X1`, `0b`, `0o7`, `_`, `.`, `.5`, `1.`, `e3`, `E-2`, `e400`, `e-400`, `p2`, `p-1080`, `+`, `-`, `i`, `i`, `+2i`, `-1e400i`, `a`, `9223372036854775807`,
		`9223372036854775808`, `18446744073709551616`, `'a'`, `'\n'`, `'\400'`, `'\ud800'`, `''`, `'ab'`, `'世'`,
	},
}

// joined is a text of a few pieces.
func (g *generator) joined(kind byte) string {
	var b strings.Builder
	for n := 1 + g.r.Intn(5); n > 0; n-- {
		b.WriteString(pick(g, pieces[kind]))
	}
	return b.String()
}

// quotedPieces is one as a string constant.
func (g *generator) quotedPieces(kind byte) string {
	return g.quoted(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(g.joined(kind)))
}

// members are what one can ask of times and versions: t stands for a time, v for a version, n for an integer.
var members = []string{
	"t.Year", "t.Month", "t.Day", "t.Hour", "t.Minute", "t.Second", "t.Nanosecond", "t.YearDay", "t.Weekday", "t.Unix", "t.UnixNano", "t.UnixMicro", "t.UnixMilli", "t.String",
	"t.IsZero", "t.UTC", "t.Month.String", "t.Weekday.String", "t.AddDate n n n", "t.After t", "t.Before t", "t.Equal t", "t.Compare t", "t.Sub t", "(t.Sub t).Hours",
	"(t.Sub t).Minutes", "(t.Sub t).Seconds", "(t.Sub t).Milliseconds", "(t.Sub t).String", "t.Year n", "t.Foo", "t.Sub n", "t.Compare nil",
	"v.Major", "v.Minor", "v.Patch", "v.Prerelease", "v.Metadata", "v.Original", "v.String", "v.IncMajor", "v.IncMinor", "v.IncPatch", "v.IncMajor.Original", "v.IncPatch.Minor",
	"v.Compare v", "v.Equal v", "v.LessThan v", "v.GreaterThan v", "v.Compare nil", "v.Compare v.IncMajor", `v.SetPrerelease "rc.1"`, `v.SetMetadata "a b"`, "v.Foo", "v",
}

// member asks one of them for something.
func (g *generator) member() string {
	words := strings.FieldsFunc(pick(g, members), func(r rune) bool { return r == ' ' })
	for i, word := range words {
		open := strings.Repeat("(", strings.Count(word, "("))
		switch body := strings.TrimLeft(word, "("); {
		case body == "n":
			words[i] = pick(g, numbers)
		case strings.HasPrefix(body, "t") && (len(body) == 1 || strings.ContainsRune(".)", rune(body[1]))):
			words[i] = open + g.constant('t') + body[1:]
		case strings.HasPrefix(body, "v") && (len(body) == 1 || body[1] == '.'):
			words[i] = fmt.Sprintf("%s(semver %s)%s", open, g.constant('v'), body[1:])
		}
	}
	return "(" + strings.Join(words, " ") + ")"
}
