"""Everything that can go wrong for a user, drawn once.

    SkipsegError
    ├── UsageError             the command or the request was put wrongly
    ├── ScanError              one scan cannot be used
    │   ├── ScanCorrupt        it is not what its format claims
    │   ├── ScanFormatUnknown  a format we do not read
    │   ├── ScanTooLarge       over a limit (bytes, voxels)
    │   └── ScanUnusable       readable, but its geometry, channels or content cannot be segmented
    ├── DatasetError           a dataset cannot be trained on as it is
    ├── DatasetUnknown         there is no such dataset, or no such case in it
    ├── DatasetConflict        the dataset's state forbids the change asked for
    ├── TrainingFailed         a training ended without a model
    ├── PlanError              a plan contradicts itself or its data
    ├── BundleError            a bundle is damaged, or of an unknown schema
    ├── ModelUnknown           the registry has no such model or version
    ├── ModelConflict          the registry's state forbids the change asked for
    ├── UploadUnknown          there is no such upload, or not any more
    ├── JobUnknown             there is no such job, or not any more
    ├── JobConflict            the job's state forbids what is asked of it
    ├── NotReady               nothing is loaded that could answer
    └── QueueFull              too much work is waiting already

Every message says what was expected, what came, and what to do. Messages never hold a scan's path, name or
header text: callers that know the file's name put it in front.
"""

from typing import ClassVar


class SkipsegError(Exception):
    """Base of every error that a user can cause or mend; ``code`` is stable and meant for programs."""

    code: ClassVar[str] = "error"

    def extension(self) -> dict[str, object]:
        """What programs may want to know beside the message, as JSON; most errors have nothing."""
        return {}


class UsageError(SkipsegError):
    code = "usage"


class ScanError(SkipsegError):
    code = "scan"


class ScanCorrupt(ScanError):
    code = "scan_corrupt"


class ScanFormatUnknown(ScanError):
    code = "scan_format_unknown"


class ScanTooLarge(ScanError):
    code = "scan_too_large"


class ScanUnusable(ScanError):
    code = "scan_unusable"


class DatasetError(SkipsegError):
    code = "dataset"


class DatasetUnknown(SkipsegError):
    code = "dataset_unknown"


class DatasetConflict(SkipsegError):
    code = "dataset_conflict"


class TrainingFailed(SkipsegError):
    code = "training_failed"


class PlanError(SkipsegError):
    code = "plan"


class BundleError(SkipsegError):
    code = "bundle"


class ModelUnknown(SkipsegError):
    code = "model_unknown"


class ModelConflict(SkipsegError):
    code = "model_conflict"


class UploadUnknown(SkipsegError):
    code = "upload_unknown"


class JobUnknown(SkipsegError):
    code = "job_unknown"


class JobConflict(SkipsegError):
    code = "job_conflict"


class NotReady(SkipsegError):
    code = "not_ready"


class QueueFull(SkipsegError):
    code = "queue_full"

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
