package lint

// Checks returns all checks: those of the files first, then those that ask a
// Prometheus.
func Checks() []Check {
	return []Check{
		errorsNotInTotal(), sameSelector(), matchesEverything(), regexAnchored(), statusNeverMatches(), statusTooBroad(),
		leLabel(), bucketAsTotal(), notACounter(), noMatchers(), latencyUnit(),
		fixedRange(), instantRate(), vectorFallback(), quantile(), ratioOverTime(), compositeOfOne(), duplicateSLI(),
		budgetUnderAScrape(), mixedWindows(), calendarWithoutZone(),
		highCardinalityGroup(), groupOfOne(),
		shortWindow(), noAlerts(), criticalNeverPages(), criticalWithoutRunbook(),
		exclusionTooLong(), exclusionAsleep(), cronEitherDay(),

		seriesMissing(), labelValueMissing(), leMissing(), histogramKind(), metadataType(), errorsExceedTotal(),
		scrapeInterval(), retention(), traffic(), tierNeverFires(), cardinality(), groups(),
	}
}
