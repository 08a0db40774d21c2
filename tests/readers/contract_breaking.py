"""Lists the changes that the Data Contract CLI reports as breaking.

Takes a JSON list of pairs of contract files, prints a JSON list of {"consumers": bool, "producers": bool}.
"""

import json
import sys

from datacontract.data_contract import DataContract
from datacontract.model.breaking import Perspective


def is_breaking(old: str, new: str, perspective: Perspective) -> bool:
    old_contract, new_contract = DataContract(data_contract_file=old), DataContract(data_contract_file=new)
    return old_contract.breaking(new_contract, perspective=perspective).is_breaking


print(
    json.dumps(
        [
            {
                "consumers": is_breaking(old, new, Perspective.CONSUMER),
                "producers": is_breaking(old, new, Perspective.PRODUCER),
            }
            for old, new in json.loads(sys.argv[1])
        ]
    )
)
