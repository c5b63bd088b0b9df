package foreign

// ObjectMeta is the metadata of an object of Kubernetes. What the API server
// fills in is taken and says nothing of an SLO.
type ObjectMeta struct {
	Name        string            `yaml:"name"`
	Namespace   string            `yaml:"namespace"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`

	GenerateName               any `yaml:"generateName"`
	SelfLink                   any `yaml:"selfLink"`
	UID                        any `yaml:"uid"`
	ResourceVersion            any `yaml:"resourceVersion"`
	Generation                 any `yaml:"generation"`
	CreationTimestamp          any `yaml:"creationTimestamp"`
	DeletionTimestamp          any `yaml:"deletionTimestamp"`
	DeletionGracePeriodSeconds any `yaml:"deletionGracePeriodSeconds"`
	OwnerReferences            any `yaml:"ownerReferences"`
	Finalizers                 any `yaml:"finalizers"`
	ManagedFields              any `yaml:"managedFields"`
}
