"""`ready_encoder`: the encoder that comes with the plugin, as an artifact."""

import shutil

from q2_aam.types import AAMModelDirectoryFormat


def ready_encoder() -> AAMModelDirectoryFormat:
    """Hand out the encoder that actions take where none is given."""
    from q2_aam.encoder.encoder import READY

    model = AAMModelDirectoryFormat()
    for path in READY.iterdir():
        shutil.copyfile(path, f"{model}/{path.name}")
    return model
