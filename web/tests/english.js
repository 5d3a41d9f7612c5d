// Makes the tests read English, as the tables say it.

import en from "../i18n/en.js";
import { use } from "../js/base/i18n.js";

use("en", en, ["en-US"]);
