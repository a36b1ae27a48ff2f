/* tests/model/many_scripts.c - text of any length in twenty-two scripts, the same for the same
 * seed. The words were put together for this file: some of the commonest of a language each. */
#include "tests/model/many_scripts.h"
#include "base/utf8.h"

#include <string.h>

#define LONGEST 4096 /* bytes of a paragraph; the longest there can be is well below */
#define LETTERS 512

static const struct script {
    const char *words, *space, *stop; /* words stand between blanks */
} scripts[WD_MANY_SCRIPTS] = {
    {"the of and to in is that for it was on are with as his they be at one have this from or had "
     "by word but what some we can out other were all there when up use your how said each she "
     "which do their time if will way about many then them would write like these long make thing",
     " ", ". "},
    {"der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an "
     "werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über größer Straße "
     "Übung heißt schön früh Häuser weiß müssen natürlich während Gesellschaft Entwicklung",
     " ", ". "},
    {"και το να του της με την που από για είναι στο τα θα δεν ένα μας αυτό στην όπως ήταν πολύ "
     "μόνο άλλα χρόνια άνθρωπος ζωή μέρα γλώσσα κόσμος πόλη θάλασσα",
     " ", ". "},
    {"и в не на я быть он с что это по к но они мы весь который она так его год человек время рука "
     "дело жизнь день сказать город вопрос сторона страна мир случай голова ребёнок сила конец",
     " ", ". "},
    {"և է որ մի ու չի այս նա մեջ հետ իր մեր երկիր մարդ օր տուն ջուր լեզու ժամանակ կյանք քաղաք սեր",
     " ", "։ "},
    {"და არ რომ ეს ის იყო მაგრამ მისი ჩვენ ერთი დრო კაცი დღე სახლი წყალი ენა ქალაქი სიყვარული", " ",
     ". "},
    {"של את על לא הוא זה היא כי עם אני גם או היה כל יש אבל אם בית יום איש מים שפה עיר ארץ שלום ספר",
     " ", ". "},
    {"في من على إلى أن هذا التي كان عن مع هو ما لا بعد كل ذلك بين يوم رجل بيت ماء لغة مدينة حياة "
     "عالم",
     " ", ". "},
    {"के में की है और को से का यह पर एक हैं नहीं था भी वह लिए कर ही तो दिन घर पानी भाषा समय लोग जीवन", " ",
     "। "},
    {"এবং এই করে থেকে তার হয় জন্য একটি তিনি ছিল না যে সঙ্গে দিন ঘর জল ভাষা সময় মানুষ জীবন শহর", " ",
     "। "},
    {"ਦੇ ਦੀ ਹੈ ਵਿੱਚ ਅਤੇ ਨੂੰ ਦਾ ਇਹ ਨੇ ਤੋਂ ਇੱਕ ਹਨ ਵੀ ਦਿਨ ਘਰ ਪਾਣੀ ਭਾਸ਼ਾ ਸਮਾਂ ਲੋਕ ਜੀਵਨ ਸ਼ਹਿਰ", " ", "। "},
    {"અને છે તે આ માટે એક પણ હતી સાથે કે થી દિવસ ઘર પાણી ભાષા સમય લોકો જીવન શહેર", " ", ". "},
    {"மற்றும் ஒரு இந்த என்று அவர் உள்ள இது போது நாள் வீடு நீர் மொழி நேரம் மக்கள் வாழ்க்கை நகரம்", " ", ". "},
    {"మరియు ఈ ఒక తన అని నుండి కోసం ఉంది రోజు ఇల్లు నీరు భాష సమయం ప్రజలు జీవితం నగరం", " ", ". "},
    {"ಮತ್ತು ಈ ಒಂದು ಅವರ ಎಂದು ನಿಂದ ದಿನ ಮನೆ ನೀರು ಭಾಷೆ ಸಮಯ ಜನರು ಜೀವನ ನಗರ", " ", ". "},
    {"ഒരു ഈ എന്ന ആണ് നിന്ന് വേണ്ടി ദിവസം വീട് വെള്ളം ഭാഷ സമയം ആളുകൾ ജീവിതം നഗരം", " ", ". "},
    {"ที่ การ และ เป็น ใน ของ มี ได้ ว่า จะ ไม่ ให้ วัน บ้าน น้ำ ภาษา เวลา คน ชีวิต เมือง", "", " "},
    {"的 一 是 不 了 在 人 有 我 他 这 个 们 中 来 上 大 为 和 国 地 到 以 说 时 要 就 出 会 可 也 "
     "你 对 生 能 而 "
     "子 那 得 于 着 下 自 之 年 过 发 后 作 里 用 道 行 所 然 家 种 事 成 方 多 经 么 去 法 学 如 "
     "都 同 现 当 没 动 面",
     "", "。"},
    {"の に は を た が で て と し れ さ ある いる も する から な こと として い や など なっ "
     "ない この ため その あっ "
     "日本 時間 言葉 人間 生活 コンピュータ システム データ ユーザー",
     "", "。"},
    {"이 그 저 것 수 등 및 있다 하는 에서 으로 사람 시간 말 생활 도시 물 집 오늘 한국어 생각하다 "
     "아름다운",
     " ", ". "},
    {"እና ነው ላይ ውስጥ ይህ ያለ ሰው ቀን ቤት ውሃ ቋንቋ ጊዜ ሕይወት ከተማ", " ", "። "},
    {"សម្រាប់ និង ជា មាន ក្នុង បាន ថា នេះ ថ្ងៃ ផ្ទះ ទឹក ភាសា ពេល មនុស្ស ជីវិត ទីក្រុង", "", "។ "},
};

static uint32_t next(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(((*seed >> 32) * below) >> 32);
}

static size_t put(char *out, size_t n, const char *s, size_t len)
{
    memcpy(out + n, s, len);
    return n + len;
}

static size_t paragraph(const struct script *s, uint64_t *seed, char out[LONGEST])
{
    const char *word[128], *letter[LETTERS];
    size_t word_len[128], letter_len[LETTERS], n_words = 0, n_letters = 0, n = 0, used;

    for (const char *p = s->words; *p; p += *p == ' ') {
        uint32_t cp;

        word[n_words] = p;
        word_len[n_words] = strcspn(p, " ");
        for (size_t i = 0; i < word_len[n_words] && n_letters < LETTERS; i += used) {
            wd_utf8_next(p + i, word_len[n_words] - i, &cp, &used);
            letter[n_letters] = p + i;
            letter_len[n_letters++] = used;
        }
        p += word_len[n_words++];
    }
    for (uint32_t sentence = 1 + next(seed, 5); sentence-- > 0;) {
        for (uint32_t k = 5 + next(seed, 12); k-- > 0;) {
            uint32_t kind = next(seed, 40);

            if (kind == 0) {
                for (uint32_t d = 1 + next(seed, 5); d-- > 0;)
                    out[n++] = (char)('0' + next(seed, 10));
            } else if (kind <= 10) {
                for (uint32_t c = 2 + next(seed, 8); c-- > 0;) {
                    uint32_t i = next(seed, (uint32_t)n_letters);

                    n = put(out, n, letter[i], letter_len[i]);
                }
            } else {
                /* The smaller of two: the first words are the commoner ones. */
                uint32_t i = next(seed, (uint32_t)n_words), j = next(seed, (uint32_t)n_words);

                i = i < j ? i : j;
                n = put(out, n, word[i], word_len[i]);
            }
            if (k > 0)
                n = put(out, n, s->space, strlen(s->space));
        }
        n = put(out, n, s->stop, strlen(s->stop));
    }
    out[n++] = '\n';
    return n;
}

size_t wd_many_scripts(uint64_t seed, char *out, size_t len)
{
    char text[LONGEST];
    size_t n = 0;

    for (size_t i = 0;; i++) {
        size_t k = paragraph(&scripts[i % WD_MANY_SCRIPTS], &seed, text);

        if (k > len - n)
            return n;
        n = put(out, n, text, k);
    }
}
