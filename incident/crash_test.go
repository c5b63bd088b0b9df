package incident_test

func crashChild(string) int { return 0 }
